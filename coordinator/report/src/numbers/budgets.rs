//! The budgets of a table, compared: steps and images.

use std::ops::RangeInclusive;

use super::effort::{Basis, Effort};
use super::entry::{Entry, Row};

/// The steps of one training stage, and the images that enter the network in it.
type Budget = (RangeInclusive<u64>, RangeInclusive<u64>);

/// Budgets of a table, compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Budgets {
    /// Downstream training, method against method within each fraction.
    pub methods: Equality,
    /// Downstream training, fraction against fraction; `None` with a single fraction.
    pub fractions: Option<Equality>,
    /// Pretext training, among the methods that have it, within each fraction.
    pub pretext: Option<Equality>,
    /// Whether some counts are planned and not yet measured.
    pub planned: bool,
}

/// How far two or more budgets agree, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Equality {
    /// The same steps and the same number of images.
    Equal,
    /// The same steps, other numbers of images.
    EqualSteps,
    /// Other steps.
    Unequal,
}

impl Budgets {
    /// Compares the budgets of a table's `rows`; `None` if they have no stages.
    pub(super) fn of(rows: &[Row]) -> Option<Self> {
        let downstream = |row: &Row| budgets(row, |entry| entry.downstream.as_ref());
        let first = |row: &Row| downstream(row).into_iter().next();
        let efforts =
            || rows.iter().flat_map(|row| &row.entries).flat_map(|entry| [&entry.pretext, &entry.downstream]).flatten();
        efforts().next()?;
        Some(Self {
            methods: within_rows(rows, downstream)?,
            fractions: equality(&rows.iter().filter_map(first).collect::<Vec<_>>()).filter(|_| rows.len() > 1),
            pretext: within_rows(rows, |row| budgets(row, |entry| entry.pretext.as_ref())),
            planned: efforts().any(|effort| effort.basis == Basis::Planned),
        })
    }
}

fn budgets(row: &Row, effort: impl Fn(&Entry) -> Option<&Effort>) -> Vec<Budget> {
    row.entries.iter().filter_map(effort).map(|effort| (effort.steps.clone(), effort.images.clone())).collect()
}

/// Returns the worst of the rows.
fn within_rows(rows: &[Row], budgets: impl Fn(&Row) -> Vec<Budget>) -> Option<Equality> {
    rows.iter().filter_map(|row| equality(&budgets(row))).max()
}

fn equality(budgets: &[Budget]) -> Option<Equality> {
    let (steps, images) = budgets.first()?;
    Some(if budgets.iter().any(|(other, _)| other != steps) {
        Equality::Unequal
    } else if budgets.iter().any(|(_, other)| other != images) {
        Equality::EqualSteps
    } else {
        Equality::Equal
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_equal_in_steps_and_in_images_or_not() {
        let budget = |steps: u64, images: u64| (steps..=steps, images..=images);
        assert_eq!(equality(&[]), None);
        assert_eq!(equality(&[budget(3, 9), budget(3, 9)]), Some(Equality::Equal));
        assert_eq!(equality(&[budget(3, 9), budget(3, 18)]), Some(Equality::EqualSteps));
        assert_eq!(equality(&[budget(3, 9), budget(4, 9)]), Some(Equality::Unequal));
    }
}
