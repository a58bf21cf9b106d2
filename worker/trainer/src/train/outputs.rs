//! The tables that a stage writes: the sample list and the predictions.

use std::fmt::Write;
use std::path::Path;

use pretext_checkpoint::{BundleError, write_whole};
use pretext_data::ImageSet;
use pretext_shared::split::Split;

/// A test image with the model's probabilities.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prediction {
    pub(super) sample: u32,
    pub(super) label: u32,
    /// The class of highest probability; of equal ones the first.
    pub(super) predicted: u32,
    pub(super) probabilities: Vec<f64>,
}

/// Returns a field of a CSV file, quoted if needed.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn write_text(path: &Path, text: &str) -> Result<(), BundleError> {
    write_whole(path, |file| std::io::Write::write_all(file, text.as_bytes()))
}

/// Writes the sample list of a stage, by sample id: `sample,path,label,part`, and `group` if the data name groups.
pub(super) fn write_split(path: &Path, images: &ImageSet, split: &Split) -> Result<(), BundleError> {
    let train = split.train.iter().map(|id| (*id, "train"));
    let mut all: Vec<_> = train.chain(split.validation.iter().map(|id| (*id, "validation"))).collect();
    all.sort_unstable();
    let grouped = all.first().is_some_and(|(id, _)| images.group_of(*id).is_some());
    let mut text = if grouped { "sample,path,label,part,group\n" } else { "sample,path,label,part\n" }.to_owned();
    for (id, part) in all {
        let _ = write!(text, "{id},{},{},{part}", field(&images.path_of(id)), images.label(id));
        let _ = match images.group_of(id) {
            Some(group) => writeln!(text, ",{}", field(group)),
            None => writeln!(text),
        };
    }
    write_text(path, &text)
}

/// Writes `sample,path,label,predicted,p_0,…`. Labels are class indices; probabilities are in label order.
pub(super) fn write_predictions(
    path: &Path,
    images: &ImageSet,
    classes: usize,
    predictions: &[Prediction],
) -> Result<(), BundleError> {
    let mut text = "sample,path,label,predicted".to_owned();
    for class in 0..classes {
        let _ = write!(text, ",p_{class}");
    }
    text.push('\n');
    for Prediction { sample, label, predicted, probabilities } in predictions {
        let _ = write!(text, "{sample},{},{label},{predicted}", field(&images.path_of(*sample)));
        for probability in probabilities {
            let _ = write!(text, ",{probability:.6e}");
        }
        text.push('\n');
    }
    write_text(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_commas_stay_one_field() {
        assert_eq!(field("train/cat/1.png"), "train/cat/1.png");
        assert_eq!(field("a,\"b\".png"), "\"a,\"\"b\"\".png\"");
    }
}
