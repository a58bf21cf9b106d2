//! What stages read besides the images of the sweep's data set, in sentences for a report.

use std::collections::BTreeSet;

use pretext_shared::ids::WeightsHash;
use pretext_shared::sweep::SweepView;

/// The weights file that encoders of `view` start from, where there is one: a sweep has one at most.
pub fn weights(view: &SweepView) -> Option<WeightsHash> {
    view.stages.values().find_map(|stage| stage.stage.spec.weights())
}

/// Everything that a reader must know of them, what is absent included.
pub fn sentences(view: &SweepView) -> Vec<String> {
    vec![initial_weights(view)]
}

fn initial_weights(view: &SweepView) -> String {
    let Some(sha256) = weights(view) else {
        return "Initial weights: random, drawn from the seed; no weights file was loaded.".to_owned();
    };
    // Stages with a parent start from its encoder, which started from the file.
    let methods: BTreeSet<&str> =
        view.cells.iter().map(|cell| cell.key.method).filter(|method| !method.starts_from_weights()).map(|method| method.title()).collect();
    let except = match methods.is_empty() {
        true => String::new(),
        false => format!(" ({} excepted: random)", methods.into_iter().collect::<Vec<_>>().join(", ")),
    };
    format!("Initial weights: encoders start from the weights file with SHA-256 {sha256}{except}.")
}
