//! The tables in a terminal: aligned columns of plain text, without colour.

use pretext_shared::sweep::SweepView;
use pretext_shared::text;

use super::aggregate::{Entry, PolicyTable, Tables};
use super::wording;

/// The width that sentences are broken at.
const WIDTH: usize = 100;

/// All tables with their budgets and notes, and the list of failures.
pub fn render(view: &SweepView, tables: &Tables) -> String {
    let mut out = format!("{} · {} cells: {}\n", view.id, view.cells.len(), wording::states(tables));
    for warning in wording::warnings(view) {
        out.push_str(&format!("\n!! {warning}\n"));
    }
    for table in &tables.policies {
        out.push_str(&format!("\nLearning-rate policy {}: test loss / accuracy\n\n", text::line(&table.lr)));
        out.push_str(&grid(&score_rows(table)));
        out.push_str("\nBudgets\n\n");
        out.push_str(&grid(&budget_rows(table)));
        out.push('\n');
        for note in wording::notes(table, tables) {
            out.push_str(&wrapped(&note));
        }
    }
    out.push_str(&failures(view));
    out
}

fn score_rows(table: &PolicyTable) -> Vec<Vec<Vec<String>>> {
    let heading = table.methods.iter().map(|method| vec![method.title().to_owned()]);
    let mut rows = vec![std::iter::once(vec!["labels".to_owned()]).chain(heading).collect()];
    for row in &table.rows {
        let label = vec![row.fraction.percent()];
        rows.push(std::iter::once(label).chain(row.entries.iter().map(entry_lines)).collect());
    }
    rows
}

/// The means on one line, the deviations below them, then what is missing: narrow enough for four
/// methods side by side.
fn entry_lines(entry: &Entry) -> Vec<String> {
    if entry.runs.is_empty() {
        return vec![wording::NO_CELL.to_owned()];
    }
    let mut lines = Vec::new();
    if let (Some(loss), Some(accuracy)) = (entry.loss, entry.accuracy) {
        lines.push(format!("{} / {} %", wording::loss(loss.mean), wording::percent(accuracy.mean)));
        if let (Some(loss), Some(accuracy)) = (loss.std, accuracy.std) {
            lines.push(format!("± {} / {}", wording::loss(loss), wording::percent(accuracy)));
        }
    }
    lines.extend(wording::remarks(entry));
    lines
}

fn budget_rows(table: &PolicyTable) -> Vec<Vec<Vec<String>>> {
    let heading = ["method", "labels", "stage"].into_iter().chain(wording::EFFORT_HEADINGS);
    let mut rows = vec![heading.map(|heading| vec![heading.to_owned()]).collect()];
    for (column, method) in table.methods.iter().enumerate() {
        for row in &table.rows {
            let entry = &row.entries[column];
            for (kind, effort) in [("pretext", &entry.pretext), ("downstream", &entry.downstream)] {
                if effort.is_some() {
                    let names = [method.title().to_owned(), row.fraction.percent(), kind.to_owned()];
                    let columns = names.into_iter().chain(wording::effort_columns(effort.as_ref()));
                    rows.push(columns.map(|text| vec![text]).collect());
                }
            }
        }
    }
    rows
}

fn failures(view: &SweepView) -> String {
    let mut out = String::new();
    for cell in &view.cells {
        let Some((stage, failure)) = view.failure(cell) else { continue };
        if out.is_empty() {
            out.push_str("\nFailed cells\n\n");
        }
        let kind = view.stages.get(&stage).map_or("", |view| view.stage.spec.kind().as_str());
        let (code, message) = (failure.code.as_str(), text::line(&failure.message));
        out.push_str(&format!(
            "  {}: {kind} stage {}: {code}: {message}\n",
            text::line(&cell.id(&view.id)),
            stage.short()
        ));
    }
    out
}

/// Aligns rows of cells, each cell a list of lines. The first row is the heading.
fn grid(rows: &[Vec<Vec<String>>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let lines = rows.iter().filter_map(|row| row.get(column)).flatten();
        lines.map(|line| line.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (i, row) in rows.iter().enumerate() {
        let height = row.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let cells = row.iter().zip(&widths).map(|(cell, width)| {
                let text = cell.get(line).map_or("", String::as_str);
                format!("{text:<width$}")
            });
            out.push_str(format!("  {}", cells.collect::<Vec<_>>().join("   ")).trim_end());
            out.push('\n');
        }
        if i == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            out.push_str(&format!("  {}\n", rules.join("   ")));
        }
    }
    out
}

/// A sentence as a list item, broken between words.
fn wrapped(sentence: &str) -> String {
    let mut out = String::from("  -");
    let mut column = 3;
    for word in sentence.split(' ') {
        let length = word.chars().count() + 1;
        if column + length > WIDTH {
            out.push_str("\n   ");
            column = 3;
        }
        out.push(' ');
        out.push_str(word);
        column += length;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_over_rows_of_different_height() {
        let cell = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let rows = vec![
            vec![cell(&["a"]), cell(&["bb"])],
            vec![cell(&["5 %"]), cell(&["±1", "n"])],
            vec![cell(&["x"]), cell(&["y"])],
        ];
        assert_eq!(grid(&rows), "  a     bb\n  ───   ──\n  5 %   ±1\n        n\n  x     y\n");
    }
}
