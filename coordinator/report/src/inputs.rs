//! What stages read besides the images of the sweep's data set, in sentences for a report.

use std::collections::BTreeSet;

use pretext_shared::dataset::Source;
use pretext_shared::ids::WeightsHash;
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::{StageView, SweepView};
use pretext_shared::text::grouped;

/// The weights file that encoders of `view` start from, where there is one: a sweep has one at most.
pub fn weights(view: &SweepView) -> Option<WeightsHash> {
    view.stages.values().find_map(|stage| stage.stage.spec.weights())
}

/// Everything that a reader must know of them, what is absent included.
pub fn sentences(view: &SweepView) -> Vec<String> {
    std::iter::once(initial_weights(view)).chain(pretext_data(view)).chain(groups(view)).collect()
}

/// Only folders can name groups.
fn groups(view: &SweepView) -> Option<String> {
    let facts = &view.provenance.dataset;
    match facts.groups.len() {
        0 => facts.key.starts_with("image-folder:").then(|| {
            "Groups: neither the data (groups.csv) nor the sweep (dataset.groups) name any, so images of one patient or slide may be on \
             both sides of a split."
                .to_owned()
        }),
        n => Some(format!(
            "Groups: the images are of {} groups ({}). Training, validation and test images share none, and a label \
             fraction takes whole groups: its share of the images is as near as they allow.",
            grouped(n as u64),
            match facts.key.parse::<Source>().as_ref().map(Source::groups) {
                Ok(Some(pattern)) => format!("read from file names: `{pattern}`"),
                Ok(None) | Err(_) => "groups.csv".to_owned(),
            }
        )),
    }
}

fn pretext_data(view: &SweepView) -> Option<String> {
    let (own, other) = (&view.provenance.dataset, view.provenance.pretext_dataset.as_ref()?);
    let images = |stage: &StageView| stage.cost.train_images + stage.cost.validation_images;
    let mut stages = view.stages.values().filter(|stage| stage.stage.spec.kind() == StageKind::Pretext);
    Some(format!(
        "Pretext data: {} (fingerprint {}), its {} training images without their labels; pretext training sees no image of {}, \
         and no test image of either.",
        other.key,
        other.fingerprint.short(),
        grouped(stages.next().map_or(0, images)),
        own.key
    ))
}

fn initial_weights(view: &SweepView) -> String {
    let Some(sha256) = weights(view) else {
        return "Initial weights: random, drawn from the seed; no weights file was loaded.".to_owned();
    };
    // Stages with a parent start from its encoder, which started from the file.
    let methods: BTreeSet<&str> = view
        .cells
        .iter()
        .map(|cell| cell.key.method)
        .filter(|method| !method.starts_from_weights())
        .map(|method| method.title())
        .collect();
    let except = match methods.is_empty() {
        true => String::new(),
        false => format!(" ({} excepted: random)", methods.into_iter().collect::<Vec<_>>().join(", ")),
    };
    format!("Initial weights: encoders start from the weights file with SHA-256 {sha256}{except}.")
}
