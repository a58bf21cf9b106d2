//! Aligns text in columns for the terminal.

use pretext_shared::text;

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Most characters of a cell; a longer cell is cut. (Widths of formatted text end at 65,535.)
const LONGEST: usize = 1000;

/// Rows below headings. Control characters in the cells are removed, so that a terminal does not act on them.
pub(super) struct Columns {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// Returns a table without rows.
    pub(super) fn new(headings: &[(&str, Align)]) -> Self {
        Self {
            aligns: headings.iter().map(|(_, align)| *align).collect(),
            rows: vec![headings.iter().map(|(heading, _)| (*heading).to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| shortened(&cell)).collect());
    }

    /// Returns the text: two spaces between columns, one line per row.
    pub(super) fn render(&self) -> String {
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.aligns.len()).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).zip(&self.aligns).map(|((cell, width), align)| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
            out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            out.push('\n');
        }
        out
    }
}

fn shortened(cell: &str) -> String {
    let mut line = text::line(cell);
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let mut columns = Columns::new(&[("name", Align::Left), ("n", Align::Right), ("why", Align::Left)]);
        columns.row(["ä\u{1b}[31m".to_owned(), "100".to_owned(), String::new()]);
        assert_eq!(columns.render(), "name    n  why\nä     100\n");
    }
}
