//! Augmentation on the host: plain loops over one image at a time.
//!
//! An image comes in as planar bytes `[3, size, size]` and leaves as planar `f32` in [0, 1]. The operations are those
//! of torchvision's tensor transforms (v2, float). Every draw is a function of its [`Place`] and of an [`Operation`],
//! so the result does not depend on threads, order or resume.

mod blur;
mod color;
mod crop;
#[cfg(test)]
mod golden;
mod jitter;
mod labelled;
mod normalize;
mod resize;
mod rotate;
mod simclr;

use pretext_shared::draw::{Draw, Place};

pub use blur::{SIGMAS, blur};
pub use color::{brightness, contrast, grayscale, hue, saturation};
pub use crop::{Crop, crop_flip, random_resized};
pub use jitter::ColorJitter;
pub use labelled::Labelled;
pub use normalize::{normalize, to_unit};
pub use resize::{Filter, Planes, Resizer, resized_crop};
pub use rotate::quarter_turns;
pub use simclr::SimclrView;

/// The purpose of a draw in an augmentation. Each purpose has a stream of its own. A new operation therefore changes no
/// other draw, and two methods that both flip see the same flips. The numbers are part of every published result: never
/// reuse or change one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Area, aspect and position of a random resized crop.
    ResizedCrop = 0,
    /// Whether the image is mirrored.
    Flip = 1,
    /// The four factors of a colour jitter.
    Jitter = 2,
    /// The order of its four operations.
    JitterOrder = 3,
    /// Whether the image becomes grey.
    Grayscale = 4,
    /// Position of a padded crop.
    PaddedCrop = 5,
    /// Whether colour jitter is applied.
    JitterChance = 6,
    /// Whether the image is blurred.
    BlurChance = 7,
    /// Standard deviation of the blur.
    Blur = 8,
}

impl Operation {
    /// Returns the stream of draws of this operation at `place`.
    pub fn draws(self, place: Place) -> Draw {
        Draw::new(place, self as u64)
    }
}

/// Whether an image is mirrored left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirror {
    /// Unchanged.
    No,
    /// Columns in reverse order.
    Yes,
}

impl Mirror {
    /// Draws with probability 0.5 if `allowed`; else never mirrors.
    pub fn draw(allowed: bool, place: Place) -> Self {
        if allowed && Operation::Flip.draws(place).chance(0.5) { Mirror::Yes } else { Mirror::No }
    }
}
