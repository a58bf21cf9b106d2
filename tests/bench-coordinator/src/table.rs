//! Results as tables for people and as JSON for programs.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// A result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// A word.
    Text(String),
    /// A count.
    Count(u64),
    /// A number with the decimal places that are shown.
    Number(f64, usize),
    /// There is no result.
    None,
}

impl Cell {
    /// Returns a word.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Returns a duration in seconds.
    pub(crate) fn seconds(took: Duration) -> Self {
        Self::Number(took.as_secs_f64(), if took < Duration::from_secs(1) { 3 } else { 2 })
    }

    /// Returns a duration in milliseconds.
    pub(crate) fn millis(took: Option<Duration>) -> Self {
        took.map_or(Self::None, |took| Self::Number(took.as_secs_f64() * 1e3, 1))
    }

    /// Returns bytes in MiB.
    pub(crate) fn mebibytes(bytes: u64) -> Self {
        Self::Number(bytes as f64 / f64::from(1 << 20), 0)
    }

    /// Returns `part` of `whole`; none if `whole` is zero.
    pub(crate) fn ratio(part: f64, whole: f64, places: usize) -> Self {
        if whole > 0.0 { Self::Number(part / whole, places) } else { Self::None }
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(count) => grouped(&count.to_string()),
            Self::Number(number, places) => grouped(&format!("{number:.places$}")),
            Self::None => "–".to_owned(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Count(count) => json!(count),
            Self::Number(number, _) => json!(number),
            Self::None => Value::Null,
        }
    }
}

/// Returns a number with commas between its thousands.
fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut text = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    fraction.map_or(text.clone(), |fraction| format!("{text}.{fraction}"))
}

/// The results of a measurement.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    /// The headings of its columns.
    pub(crate) columns: &'static [&'static str],
    /// Its rows, as long as the headings.
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Returns the table in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let headings = line(self.columns.iter().map(|heading| (*heading).to_owned()).collect());
        let rule = format!("|{}\n", "---|".repeat(self.columns.len()));
        let rows = self.rows.iter().map(|row| line(row.iter().map(Cell::shown).collect()));
        format!("### {}\n\n{headings}{rule}{}", self.name, rows.collect::<String>())
    }

    /// Returns the rows as objects, by the headings.
    pub(crate) fn json(&self) -> Value {
        let object = |row: &Vec<Cell>| {
            let pairs = self.columns.iter().zip(row).map(|(heading, cell)| ((*heading).to_owned(), cell.json()));
            Value::Object(pairs.collect::<Map<_, _>>())
        };
        // The keys of an object have no order.
        json!({"name": self.name, "columns": self.columns, "rows": self.rows.iter().map(object).collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_missing_ones_are_said() {
        let row = vec![Cell::Count(1_234_567), Cell::Number(-0.25, 1), Cell::millis(None), Cell::ratio(1.0, 0.0, 2)];
        let table = Table { name: "t", columns: &["a", "b", "c", "d"], rows: vec![row] };
        assert_eq!(table.markdown(), "### t\n\n| a | b | c | d |\n|---|---|---|---|\n| 1,234,567 | -0.2 | – | – |\n");
        let rows = json!([{"a": 1_234_567, "b": -0.25, "c": null, "d": null}]);
        assert_eq!(table.json(), json!({"name": "t", "columns": ["a", "b", "c", "d"], "rows": rows}));
        assert_eq!(["1", "999", "1000.50"].map(grouped), ["1", "999", "1,000.50"]);
    }
}
