//! Notes on method. They hold for all tables and stand once, below them.

use super::wording::Wording;
use crate::notation::ABSENT;
use crate::numbers::{PolicyTable, Significance};

/// A note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// The choice of the tested model.
    Selection,
    /// The sign of entries that the sweep does not have.
    Absent,
    /// The meaning of ±, n and intervals.
    Spread,
    /// The paired t-test and Holm's adjustment.
    PairedTest,
    /// McNemar's test.
    McNemar,
    /// The bootstrap over fractions.
    Bootstrap,
    /// The measures beyond loss and accuracy.
    Measures,
    /// The command that runs the sweep again.
    Reproduction,
}

/// Returns the notes that `tables` need.
pub(super) fn notes(tables: &[PolicyTable]) -> Vec<Note> {
    let any = |holds: fn(&PolicyTable) -> bool| tables.iter().any(holds);
    let tested = |table: &PolicyTable| matches!(table.significance, Some(Significance::Tested { .. }));
    let needed = [
        (Note::Selection, true),
        (Note::Absent, any(|table| table.rows.iter().flat_map(|row| &row.entries).any(|one| one.runs.is_empty()))),
        (Note::Spread, any(|table| table.most_seeds() > 1)),
        (Note::PairedTest, any(tested)),
        (Note::McNemar, any(|table| table.comparisons.iter().any(|one| !one.mcnemar.is_empty()))),
        (Note::Bootstrap, any(|table| table.overall.iter().any(|one| one.accuracy.is_some()))),
        (Note::Measures, any(|table| table.rows.iter().flat_map(|row| &row.entries).any(|one| one.measures.is_some()))),
    ];
    needed.into_iter().filter(|(_, needed)| *needed).map(|(note, _)| note).collect()
}

impl Note {
    pub(super) fn wording(self) -> Wording {
        match self {
            Note::Selection => {
                Wording::of("Selection", "The tested model is that of the epoch with the lowest validation loss.")
                    .on_condition("It scores the test images once; accuracy is sum(correct) / sum(seen).")
            }
            Note::Absent => Wording::of("Absent entries", format!("{ABSENT} stands for an entry that is not in the sweep.")),
            Note::Spread => Wording::of("Spread", "± is the sample standard deviation (n − 1) over n seeds.")
                .on_condition("The intervals of means are 95 % t-intervals. A single seed has neither.")
                .on_condition("Differences between methods are paired by seed."),
            Note::PairedTest => {
                Wording::of("Tests", "Paired t-tests over shared seeds, at the 5 % level, adjusted with Holm's method.")
                    .on_condition("Without the adjustment, one test in twenty is significant by chance alone.")
            }
            Note::McNemar => Wording::of("McNemar's test", "It compares two trained models on the same test images.")
                .on_condition("It does not know how much either method varies with the seed."),
            Note::Bootstrap => Wording::of(
                "Bootstrap",
                "Intervals over fractions are stratified percentile intervals: seeds are resampled within each fraction.",
            )
            .on_condition("Fractions count as independent; shared labels make them only nearly so."),
            Note::Measures => Wording::of("Measures", "Lower is better for NLL, ECE and Brier.")
                .on_condition("classes.csv has the scores of each class, confusion.csv the confusion matrices."),
            Note::Reproduction => {
                Wording::of("Reproduction", "`coordinator reproduce results.json` runs the sweep again and compares the numbers.")
                    .on_condition("results.json has the sweep file, the data fingerprint and the crate versions.")
            }
        }
    }
}
