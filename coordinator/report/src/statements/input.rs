//! Inputs: everything that stages read besides the images of the sweep's data set.

use pretext_shared::text::counted;

use super::wording::Wording;
use crate::notation::percent;
use crate::numbers::inputs::{DataGroups, GroupSource, InitialWeights, PretextData};
use crate::numbers::{Inputs, TestSet};

/// An input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input<'a> {
    /// Initial weights of encoders.
    Weights(&'a InitialWeights),
    /// A separate data set for pretext training.
    PretextData(&'a PretextData),
    /// Images that belong together.
    DataGroups(&'a DataGroups),
    /// The test images.
    TestSet(&'a TestSet),
}

/// Returns all inputs of a sweep, absent ones included if a reader must know of the absence.
pub(super) fn inputs<'a>(inputs: &'a Inputs, test_set: &'a TestSet) -> Vec<Input<'a>> {
    std::iter::once(Input::Weights(&inputs.weights))
        .chain(inputs.pretext_data.iter().map(Input::PretextData))
        .chain(inputs.data_groups.iter().map(Input::DataGroups))
        .chain([Input::TestSet(test_set)])
        .collect()
}

impl Input<'_> {
    pub(super) fn wording(&self) -> Wording {
        match self {
            Input::Weights(InitialWeights::Random) => {
                Wording::of("Initial weights", "Random, drawn from the seed; no weights file was loaded.")
            }
            Input::Weights(InitialWeights::File { sha256, except }) => {
                let methods: Vec<&str> = except.iter().map(|method| method.title()).collect();
                let except = match methods.is_empty() {
                    true => String::new(),
                    false => format!(" ({} excepted: random)", methods.join(", ")),
                };
                let verdict = format!("Encoders start from the weights file with SHA-256 {sha256}{except}.");
                Wording::of("Initial weights", verdict)
            }
            Input::PretextData(data) => {
                let (images, short) = (counted(data.images, "training image"), data.fingerprint.short());
                let verdict = format!("{} (fingerprint {short}): {images}, without labels.", data.key);
                Wording::of("Pretext data", verdict).on_condition(format!(
                    "Pretext training sees no image of {}, and no test image of either data set.",
                    data.own
                ))
            }
            Input::DataGroups(DataGroups::Unnamed) => Wording::of(
                "Data groups",
                "None are named, so images of one patient or slide may be on both sides of a split.",
            )
            .on_condition("To name them, add groups.csv to the data or dataset.groups to the sweep file; in a list, add a column group."),
            Input::DataGroups(DataGroups::Named { count, source }) => {
                let source = match source {
                    GroupSource::List => "groups.csv".to_owned(),
                    GroupSource::Column => "the column group of the list".to_owned(),
                    GroupSource::FileNames(pattern) => format!("read from file names: {pattern}"),
                };
                let verdict = format!("The images belong to {} ({source}).", counted(*count, "group"));
                Wording::of("Data groups", verdict)
                    .on_condition("Training, validation and test images have no data group in common.")
                    .on_condition("A label fraction takes whole data groups, as near to its share as they allow.")
            }
            Input::TestSet(test_set) => {
                let majority = test_set.majority.as_ref().map(|majority| {
                    let (class, accuracy) = (&majority.class, percent(majority.accuracy));
                    format!("Always answering the largest class ({class}) scores {accuracy} %.")
                });
                Wording::of("Test set", format!("{}.", counted(test_set.images, "image"))).on_any(majority)
            }
        }
    }
}
