//! File names that say what a file is.

use std::path::Path;

/// Returns whether a file of this name is taken for an image. Hidden files are none.
pub(super) fn is_visible_image(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    !name.starts_with('.') && ["jpg", "jpeg", "png"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}
