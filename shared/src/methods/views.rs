//! The augmentation of images by methods: the values, and the keys that set them.

use serde::{Deserialize, Serialize};

use super::keys::{Keys, Number, Switch, Text, Whole};

/// A padded crop and a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CropFlip {
    /// Pixels of zero padding on each side before a random crop of the original size.
    pub padding: u32,
    /// Whether images are mirrored at random.
    pub flip: bool,
}

/// Probabilities of the operations on a SimCLR view (Chen et al. 2020, appendix A); 0 leaves one out, 1 always does it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Chances {
    /// Colour jitter.
    pub jitter: f32,
    /// Grayscale.
    pub grayscale: f32,
    /// Gaussian blur.
    pub blur: f32,
}

impl Default for Chances {
    /// Returns the paper's probabilities for small images: no blur.
    fn default() -> Self {
        Self { jitter: 0.8, grayscale: 0.2, blur: 0.0 }
    }
}

impl Chances {
    /// Returns whether they are the paper's for small images. A stage does not write this default, which keeps earlier
    /// ids.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The augmentation of SimCLR's views.
#[derive(Debug, Clone, Copy)]
pub struct Views {
    /// Strength of the colour jitter (SimCLR's s).
    pub strength: f32,
    /// Smallest area of the random crop, as a share of the image.
    pub min_crop: f32,
    /// Whether views are mirrored at random.
    pub flip: bool,
    /// Probabilities that a view is jittered, made grey, blurred.
    pub chances: Chances,
}

/// Zero padding before a random crop.
pub static PADDING: Whole = Whole {
    text: Text {
        name: "padding",
        default: "an eighth of the image",
        meaning: "Rotations: zero padding before a random crop (4 at 32 pixels, RotNet).",
    },
    default: |images| images.padding,
    range: |images| 0..=images.max_padding,
};

/// A mirror.
pub static FLIP: Switch = Switch {
    text: Text {
        name: "flip",
        default: "true, false for `idx`",
        meaning: "Mirror with probability ½. A mirrored digit is another sign, so digits are mirrored only if the file \
                  says so.",
    },
    default: |images| images.flip,
};

/// The strength of a colour jitter.
pub static STRENGTH: Number = Number {
    text: Text {
        name: "strength",
        default: "0.5 up to 64 pixels, 1 above",
        meaning: "SimCLR's s: brightness, contrast, saturation within 0.8 s, hue within 0.2 s, in random order, clipped \
                  after each.",
    },
    default: |images| images.strength,
    // The hue changes by 0.2 · strength, and by at most half a turn.
    expected: "a number above 0 and at most 2.5",
    accepts: |strength| strength > 0.0 && strength <= 2.5,
};

/// The smallest area of a random resized crop.
pub static MIN_CROP: Number = Number {
    text: Text {
        name: "min_crop",
        default: "0.08, 0.5 for `idx`",
        meaning: "Views: smallest area of the random resized crop; aspect 3/4 to 4/3, log-uniform.",
    },
    default: |images| images.min_crop,
    expected: "a share of the image from 0.001 to 1",
    accepts: |share| (0.001..=1.0).contains(&share),
};

const PROBABILITY: &str = "a probability from 0 to 1";

fn is_probability(p: f64) -> bool {
    (0.0..=1.0).contains(&p)
}

static JITTER: Number = Number {
    text: Text { name: "jitter", default: "0.8", meaning: "Views: probability of the colour jitter." },
    default: |_| 0.8,
    expected: PROBABILITY,
    accepts: is_probability,
};

static GRAYSCALE: Number = Number {
    text: Text { name: "grayscale", default: "0.2", meaning: "Views: probability of grayscale." },
    default: |_| 0.2,
    expected: PROBABILITY,
    accepts: is_probability,
};

static BLUR: Number = Number {
    text: Text {
        name: "blur",
        default: "0 up to 64 pixels, 0.5 above",
        meaning: "Views: probability of a Gaussian blur, σ from 0.1 to 2, kernel a tenth of the image.",
    },
    default: |images| images.blur,
    expected: PROBABILITY,
    accepts: is_probability,
};

/// Reads the keys of a padded crop and a mirror.
pub fn crop_flip(keys: &mut dyn Keys) -> Option<CropFlip> {
    let (padding, flip) = (keys.whole(&PADDING), keys.switch(&FLIP));
    Some(CropFlip { padding: padding?, flip: flip? })
}

/// Reads the keys of SimCLR's views.
pub fn views(keys: &mut dyn Keys) -> Option<Views> {
    let (strength, min_crop, flip) = (keys.number(&STRENGTH), keys.number(&MIN_CROP), keys.switch(&FLIP));
    let (jitter, grayscale, blur) = (keys.number(&JITTER), keys.number(&GRAYSCALE), keys.number(&BLUR));
    Some(Views {
        strength: strength? as f32,
        min_crop: min_crop? as f32,
        flip: flip?,
        chances: Chances { jitter: jitter? as f32, grayscale: grayscale? as f32, blur: blur? as f32 },
    })
}
