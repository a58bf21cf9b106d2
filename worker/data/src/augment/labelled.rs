//! The random view of a labelled image for fine-tuning.

use pretext_shared::draw::Place;
use pretext_shared::stage::{CropFlip, LabelledView, ResizedFlip};

use super::crop::{crop_flip, random_resized};
use super::{Mirror, Resizer};

/// Draws the views that [`LabelledView`] describes.
#[derive(Debug, Clone)]
pub struct Labelled(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Padded { size: usize, spec: CropFlip },
    Resized { resizer: Resizer, spec: ResizedFlip },
}

impl Labelled {
    /// Returns the drawer of views of `size` × `size` images.
    pub fn new(size: usize, view: LabelledView) -> Self {
        Self(match view {
            LabelledView::Padded(spec) => Kind::Padded { size, spec },
            LabelledView::Resized(spec) => Kind::Resized { resizer: Resizer::new(size), spec },
        })
    }

    /// Draws the view of `image` (`[3, size, size]`) at `place`, to planes in [0, 1] of the same shape.
    pub fn draw(&self, image: &[u8], place: Place, out: &mut [f32]) {
        match &self.0 {
            Kind::Padded { size, spec } => crop_flip(image, *size, *spec, place, out),
            Kind::Resized { resizer, spec } => {
                let crop = random_resized(resizer.size(), spec.min_crop, place);
                resizer.resized_crop(image, crop, Mirror::draw(spec.flip, place), out);
            }
        }
    }
}
