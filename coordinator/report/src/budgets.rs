//! Whether the numbers of a table were bought at the same price.

use std::ops::RangeInclusive;

use super::aggregate::{Basis, Effort, Entry, PolicyTable, Row};

/// What one training stage of one run takes: steps, and images that enter the network.
type Price = (RangeInclusive<u64>, RangeInclusive<u64>);

/// Budgets of a table, compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Budgets {
    /// Downstream training, method against method within each fraction.
    pub methods: Equality,
    /// Downstream training, fraction against fraction.
    pub fractions: Equality,
    /// Pretext training, among the methods that have it, within each fraction.
    pub pretext: Option<Equality>,
    /// Whether some counts are still the plan's.
    pub planned: bool,
}

/// Whether two or more budgets are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Equality {
    /// The same steps and the same number of images.
    Equal,
    /// The same steps, other numbers of images.
    EqualSteps,
    /// Other steps.
    Unequal,
}

impl Budgets {
    /// The budgets of `table`; `None` where it has no cells.
    pub fn of(table: &PolicyTable) -> Option<Self> {
        let downstream = |row: &Row| prices(row, |entry| entry.downstream.as_ref());
        let first = |row: &Row| downstream(row).into_iter().next();
        let efforts = || {
            table
                .rows
                .iter()
                .flat_map(|row| &row.entries)
                .flat_map(|entry| [&entry.pretext, &entry.downstream])
                .flatten()
        };
        efforts().next()?;
        Some(Self {
            methods: within_rows(table, downstream)?,
            fractions: equality(&table.rows.iter().filter_map(first).collect::<Vec<_>>())?,
            pretext: within_rows(table, |row| prices(row, |entry| entry.pretext.as_ref())),
            planned: efforts().any(|effort| effort.basis == Basis::Planned),
        })
    }
}

fn prices(row: &Row, effort: impl Fn(&Entry) -> Option<&Effort>) -> Vec<Price> {
    row.entries.iter().filter_map(effort).map(|effort| (effort.steps.clone(), effort.images.clone())).collect()
}

/// The worst of the rows.
fn within_rows(table: &PolicyTable, prices: impl Fn(&Row) -> Vec<Price>) -> Option<Equality> {
    table.rows.iter().filter_map(|row| equality(&prices(row))).max_by_key(|equality| *equality as u8)
}

fn equality(prices: &[Price]) -> Option<Equality> {
    let (steps, images) = prices.first()?;
    Some(if prices.iter().any(|(other, _)| other != steps) {
        Equality::Unequal
    } else if prices.iter().any(|(_, other)| other != images) {
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
        let price = |steps: u64, images: u64| (steps..=steps, images..=images);
        assert_eq!(equality(&[]), None);
        assert_eq!(equality(&[price(3, 9), price(3, 9)]), Some(Equality::Equal));
        assert_eq!(equality(&[price(3, 9), price(3, 18)]), Some(Equality::EqualSteps));
        assert_eq!(equality(&[price(3, 9), price(4, 9)]), Some(Equality::Unequal));
    }
}
