//! Conditions: the circumstances under which the numbers of a table were measured.

use std::ops::RangeInclusive;

use pretext_shared::stage::{DownstreamHead, DownstreamMode};

use super::wording::Wording;
use crate::notation::percent;
use crate::numbers::stats::bootstrap::LEAST;
use crate::numbers::{Budgets, Downstream, Equality, PolicyTable, Protocol};

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition<'a> {
    /// Steps and images of methods and fractions, compared.
    Budget(&'a Budgets),
    /// The images that pretext training saw.
    Protocol(Protocol),
    /// The only way of downstream training.
    Downstream(&'a Downstream),
    /// One of several ways of downstream training, with its methods.
    DownstreamOf(&'a Downstream),
    /// Smallest and largest binomial half width of one run, in 0–1.
    TestNoise(RangeInclusive<f64>),
    /// No entry has more than one seed.
    OneSeed,
    /// Smallest number of seeds behind the intervals over fractions; `None` if there are no such intervals.
    OverFractions(Option<usize>),
}

/// Returns the conditions of `table`.
pub(super) fn conditions(table: &PolicyTable) -> Vec<Condition<'_>> {
    let way = match table.downstream.len() {
        0 | 1 => Condition::Downstream,
        _ => Condition::DownstreamOf,
    };
    let one_seed = (table.most_seeds() <= 1).then_some(Condition::OneSeed);
    let seeds = table.overall.iter().filter_map(|one| one.accuracy).map(|interval| interval.n).min();
    let mut conditions: Vec<Condition<'_>> = table.budgets.iter().map(Condition::Budget).collect();
    conditions.push(Condition::Protocol(table.protocol));
    conditions.extend(table.downstream.iter().map(way));
    conditions.extend(table.test_half_width.clone().map(Condition::TestNoise));
    conditions.extend(one_seed);
    conditions.push(Condition::OverFractions(seeds));
    conditions
}

impl Condition<'_> {
    pub(super) fn wording(&self) -> Wording {
        match self {
            Condition::Budget(budgets) => budget(budgets),
            Condition::Protocol(protocol) => Wording::of("Data", self::protocol(*protocol)),
            Condition::Downstream(way) => Wording::of("Downstream", format!("{}.", trained(way))),
            Condition::DownstreamOf(way) => {
                let methods: Vec<&str> = way.methods.iter().map(|method| method.title()).collect();
                Wording::of("Downstream", format!("{}: {}.", trained(way), methods.join(", ")))
            }
            Condition::TestNoise(widths) => {
                let (low, high) = (percent(*widths.start()), percent(*widths.end()));
                let range = if low == high { format!("±{low}") } else { format!("±{low} to ±{high}") };
                Wording::of("Test noise", format!("{range} points in the accuracy of one run."))
                    .on_condition("This is the 95 % Wilson half-width, if test images are independent.")
            }
            Condition::OneSeed => Wording::of("Seeds", "One per entry, so the table does not show how results vary.")
                .on_condition("There is no standard deviation, no interval over seeds and no test."),
            Condition::OverFractions(Some(n)) => {
                Wording::of("Over fractions", format!("The intervals resample at least {n} seeds in each fraction."))
            }
            Condition::OverFractions(None) => Wording::of("Over fractions", "There is no bootstrap interval.")
                .on_condition(format!("It needs at least {LEAST} seeds in every cell of the table.")),
        }
    }
}

fn budget(budgets: &Budgets) -> Wording {
    let methods = match budgets.methods {
        Equality::Equal => {
            "Equal: at each label fraction every method takes the same downstream steps and sees the same number of \
             images."
        }
        Equality::EqualSteps => {
            "Equal in steps, NOT in images: at each label fraction every method takes the same downstream steps."
        }
        Equality::Unequal => "NOT equal: at a label fraction methods take different numbers of downstream steps.",
    };
    let unequal =
        matches!(budgets.methods, Equality::Unequal).then_some("Differences between methods may come from the budget.");
    let pretext = budgets.pretext.map(|pretext| match pretext {
        Equality::Equal => "Pretext training is extra: the same steps and images for all methods that have it.",
        Equality::EqualSteps => {
            "Pretext training is extra: the same steps for all methods that have it. The numbers of images differ, \
             because methods make different numbers of views."
        }
        Equality::Unequal => "Pretext training is extra and NOT equal among methods: see the table of budgets.",
    });
    let fractions = budgets.fractions.map(|fractions| match fractions {
        Equality::Equal | Equality::EqualSteps => "Every fraction takes the same number of steps.",
        Equality::Unequal => {
            "Smaller fractions take fewer steps (a budget in epochs), so rows differ in training as well as in labels."
        }
    });
    let planned = budgets.planned.then_some("Some counts are planned, not yet measured.");
    Wording::of("Budget", methods).on_any(unequal).on_any(pretext).on_any(fractions).on_any(planned)
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::NoPretext => "This table has no pretext training.",
        Protocol::Fraction => {
            "Pretext training saw only the images of the cell's own label fraction (protocol fraction)."
        }
        Protocol::All => "Pretext training saw all training images, without labels (protocol all).",
        Protocol::Transfer => {
            "Pretext training saw all training images of another data set, without labels (protocol transfer)."
        }
        Protocol::Mixed => {
            "Two protocols are mixed: the cell's own fraction, and all training images. Do not compare across them."
        }
    }
}

fn trained(way: &Downstream) -> String {
    let head = match way.head {
        DownstreamHead::Linear => "a linear head",
        DownstreamHead::Mlp => "a head of two layers",
    };
    let block = way.block.map_or_else(String::new, |(block, of)| format!(", after its block {block} of {of}"));
    match way.mode {
        DownstreamMode::FineTune => format!("The encoder{block} and {head} are trained (fine-tune)"),
        DownstreamMode::Frozen => format!("{} on the frozen encoder{block}", capital(head)),
    }
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
