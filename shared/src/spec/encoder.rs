//! Reads `encoder`: the network.

use super::dataset::SMALL_IMAGE;
use super::field::Field;
use super::node::Value;
use crate::stage::{EncoderSpec, Stem};

#[derive(Debug, Clone, Copy)]
enum Kind {
    SmallCnn,
    Nin,
    Resnet18,
    Resnet50,
}

const KINDS: [(&str, Kind); 4] =
    [("small-cnn", Kind::SmallCnn), ("nin", Kind::Nin), ("resnet18", Kind::Resnet18), ("resnet50", Kind::Resnet50)];
const KIND: &str = "an encoder";
const DEFAULT_WIDTH: u32 = 16;
const DEFAULT_BLOCKS: u32 = 3;
/// Number of blocks of RotNet's main model.
const DEFAULT_NIN_BLOCKS: u32 = 4;

/// Reads the section, or a plain name. `image_size` is absent if it could not be read.
pub(super) fn read(field: &Field<'_>, image_size: Option<u32>) -> Option<EncoderSpec> {
    let auto = if image_size.is_some_and(|size| size > SMALL_IMAGE) { Stem::Large } else { Stem::Small };
    if !matches!(field.node.value, Value::Map(_)) {
        return Some(match field.choice(KIND, &KINDS)? {
            Kind::SmallCnn => EncoderSpec::SmallCnn { width: DEFAULT_WIDTH, blocks: DEFAULT_BLOCKS },
            Kind::Nin => EncoderSpec::Nin { blocks: DEFAULT_NIN_BLOCKS },
            Kind::Resnet18 => EncoderSpec::Resnet18 { stem: auto },
            Kind::Resnet50 => EncoderSpec::Resnet50 { stem: auto },
        });
    }
    let section = field.section()?;
    let help = "one of `small-cnn`, `nin`, `resnet18`, `resnet50`";
    let kind = section.need("kind", help, |field| field.choice(KIND, &KINDS))?;
    section.only(match kind {
        Kind::SmallCnn => &["kind", "weights", "width", "blocks"],
        Kind::Nin => &["kind", "weights", "blocks"],
        Kind::Resnet18 | Kind::Resnet50 => &["kind", "weights", "stem"],
    });
    let stem = || {
        let choices = [("auto", auto), ("3x3", Stem::Small), ("7x7", Stem::Large)];
        section.or("stem", auto, |field| {
            let stem = field.choice("a stem", &choices)?;
            // Stem and pooling divide the image size by 4, and three stages halve it again.
            match image_size {
                Some(size) if stem == Stem::Large && size < 32 => field.refuse_with(
                    format!("a 7x7 stem divides the image size by 32: {size}×{size} pixels are too few"),
                    "use `stem: 3x3`, or an image_size of at least 32",
                ),
                _ => Some(stem),
            }
        })
    };
    Some(match kind {
        Kind::SmallCnn => {
            let width = section.or("width", DEFAULT_WIDTH, |field| field.small(4..=256));
            let blocks = section.or("blocks", DEFAULT_BLOCKS, |field| field.small(1..=5));
            EncoderSpec::SmallCnn { width: width?, blocks: blocks? }
        }
        Kind::Nin => EncoderSpec::Nin { blocks: section.or("blocks", DEFAULT_NIN_BLOCKS, |field| field.small(1..=5))? },
        Kind::Resnet18 => EncoderSpec::Resnet18 { stem: stem()? },
        Kind::Resnet50 => EncoderSpec::Resnet50 { stem: stem()? },
    })
}
