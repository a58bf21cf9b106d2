//! Findings: the results of a table.

use pretext_shared::split::Fraction;
use pretext_shared::stage::Method;
use pretext_shared::text::counted;

use super::wording::Wording;
use crate::notation;
use crate::numbers::inputs::InitialWeights;
use crate::numbers::stats::Paired;
use crate::numbers::{Entry, Inputs, PolicyTable, Significance, Untested};

/// A finding.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding<'a> {
    /// The significant differences between methods.
    Significance(&'a Significance),
    /// Scores of the supervised cells, by fraction.
    Supervised {
        /// The entries; empty if the policy has no supervised cells.
        entries: Vec<(Fraction, &'a Entry)>,
        /// Their initial weights.
        weights: &'a InitialWeights,
    },
    /// Scores of the random-init cells, by fraction.
    Floor(Vec<(Fraction, &'a Entry)>),
    /// Accuracy of each method minus that of a reference.
    Gains {
        /// The reference.
        over: Baseline,
        /// The differences of each method, by fraction.
        methods: Vec<(Method, Vec<Gain<'a>>)>,
    },
}

/// The method with which all others are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// Training from scratch.
    Supervised,
    /// A head on an encoder that learned nothing.
    Floor,
}

/// A difference to a baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain<'a> {
    /// Label fraction.
    pub fraction: Fraction,
    /// The difference.
    pub difference: &'a Paired,
    /// Number of succeeded cells of the method, paired or not.
    pub n: usize,
}

/// Returns the verdict on the differences of `table`, if there is anything to compare.
pub(super) fn verdict(table: &PolicyTable) -> Option<Finding<'_>> {
    table.significance.as_ref().map(Finding::Significance)
}

/// Returns the other findings of `table`.
pub(super) fn findings<'a>(table: &'a PolicyTable, inputs: &'a Inputs) -> Vec<Finding<'a>> {
    let entries = |method: Method| table.entries_of(method).collect::<Vec<_>>();
    let supervised = Finding::Supervised { entries: entries(Method::Supervised), weights: &inputs.weights };
    let floor = Some(entries(Method::RandomInit)).filter(|entries| !entries.is_empty()).map(Finding::Floor);
    let mut findings = vec![supervised];
    findings.extend(gains(table, Baseline::Supervised));
    findings.extend(floor);
    findings.extend(gains(table, Baseline::Floor));
    findings
}

fn gains(table: &PolicyTable, over: Baseline) -> Option<Finding<'_>> {
    let of_method = |method: &Method| {
        let gains = table.entries_of(*method).filter_map(|(fraction, entry)| {
            let difference = match over {
                Baseline::Supervised => entry.gain.as_ref(),
                Baseline::Floor => entry.above_floor.as_ref(),
            };
            Some(Gain { fraction, difference: difference?, n: entry.n() })
        });
        let gains: Vec<Gain<'_>> = gains.collect();
        (!gains.is_empty()).then_some((*method, gains))
    };
    let methods: Vec<_> = table.methods.iter().filter_map(of_method).collect();
    (!methods.is_empty()).then_some(Finding::Gains { over, methods })
}

impl Finding<'_> {
    pub(super) fn wording(&self) -> Wording {
        match self {
            Finding::Significance(significance) => self::significance(significance),
            Finding::Supervised { entries, .. } if entries.is_empty() => {
                Wording::of("Supervised line", "This policy has no supervised cells.")
            }
            Finding::Supervised { entries, weights } => {
                let start = match weights {
                    InitialWeights::Random => "random initial weights",
                    InitialWeights::File { .. } => "the weights file",
                };
                Wording::of("Supervised line", scores(entries))
                    .on_condition(format!("Supervised cells start from {start} and train on the same labels."))
            }
            Finding::Floor(entries) => Wording::of("Floor", scores(entries))
                .on_condition("Random-init cells train a head on frozen initial weights, with the same labels."),
            Finding::Gains { over, methods } => {
                let subject = match over {
                    Baseline::Supervised => "Points above supervised",
                    Baseline::Floor => "Points above the floor",
                };
                let of_method = |(method, gains): &(Method, Vec<Gain<'_>>)| {
                    let gains: Vec<String> = gains.iter().map(gain).collect();
                    format!("{} {}", method.title(), gains.join(", "))
                };
                Wording::of(subject, methods.iter().map(of_method).collect::<Vec<_>>().join(" · ") + ".")
            }
        }
    }
}

fn scores(entries: &[(Fraction, &Entry)]) -> String {
    let score = |(fraction, entry): &(Fraction, &Entry)| format!("{}: {}", fraction.percent(), notation::entry(entry));
    entries.iter().map(score).collect::<Vec<_>>().join(" · ") + "."
}

fn gain(gain: &Gain<'_>) -> String {
    let pairs = gain.difference.n;
    let n = if pairs == gain.n { String::new() } else { format!(" (n = {pairs})") };
    format!("{} at {}{n}", notation::gain(gain.difference), gain.fraction.percent())
}

fn significance(significance: &Significance) -> Wording {
    const SUBJECT: &str = "Significance";
    match significance {
        Significance::Untested { because, .. } => {
            let verdict = "No difference between methods could be tested.";
            Wording::of(SUBJECT, verdict).on_condition(match because {
                Untested::NoSharedSeed => "No two methods have a seed in common yet.",
                Untested::OneSeed => "A test needs at least two seeds that both methods have.",
                Untested::NoSpread => "The differences are the same in all seeds, so they have no spread.",
            })
        }
        Significance::Tested { pairs, tested, wins, before_adjustment } => {
            let named: Vec<String> = wins
                .iter()
                .map(|win| format!("{} over {} at {}", win.better.title(), win.worse.title(), win.fraction.percent()))
                .collect();
            let verdict = match (wins.len(), *tested) {
                (0, 1) => "The one tested difference is not significant.".to_owned(),
                (0, _) => format!("None of the {tested} tested differences is significant."),
                (1, 1) => format!("The one tested difference is significant: {}.", named.join(", ")),
                (all, tested) if all == tested => {
                    format!("All {tested} tested differences are significant: {}.", named.join(", "))
                }
                (1, _) => format!("1 of {tested} tested differences is significant: {}.", named.join(", ")),
                (some, _) => format!("{some} of {tested} tested differences are significant: {}.", named.join(", ")),
            };
            let lost = match before_adjustment {
                0 => None,
                1 => Some("1 other is below 0.05 only before Holm's adjustment.".to_owned()),
                lost => Some(format!("{lost} others are below 0.05 only before Holm's adjustment.")),
            };
            let untested = (tested < pairs)
                .then(|| format!("{} of {} could not be tested.", pairs - tested, counted(*pairs, "pair")));
            Wording::of(SUBJECT, verdict).on_any(lost).on_any(untested)
        }
    }
}
