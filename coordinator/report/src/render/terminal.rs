//! The report in a terminal: aligned columns of plain text, without colour.

use pretext_shared::text::{self, counted};

use crate::document::{Block, Document, Fact, Field, Role, Section, Table, TableRow};
use crate::notation;
use crate::numbers::Entry;
use crate::statements::Statement;

/// The width at which sentences are broken.
const WIDTH: usize = 100;

/// Returns the report.
pub fn render(document: &Document<'_>) -> String {
    let overview = &document.overview;
    let mut out = format!("{} · {}: {}\n", overview.id, counted(overview.cells, "cell"), overview.counts());
    for warning in &document.warnings {
        let warning = text::line(&warning.wording().to_string());
        out.push_str(&format!("\n!! {warning}\n"));
    }
    out.extend(document.sections.iter().map(section));
    out
}

fn section(section: &Section<'_>) -> String {
    let blocks: String = section.blocks.iter().map(block).collect();
    if blocks.is_empty() { blocks } else { format!("\n{}\n{blocks}", text::line(&section.topic.heading())) }
}

/// Returns a block with an empty line before it. A terminal shows the tables that fit its width; the files of the
/// report have the others.
fn block(block: &Block<'_>) -> String {
    match block {
        Block::Lead(lead) => format!("\n{}", statement("  ", lead)),
        Block::Statements(statements) | Block::Illustrated { statements, .. } => {
            let items: String = statements.iter().map(|one| statement("  - ", one)).collect();
            format!("\n{items}")
        }
        Block::Table(table) => match table.role {
            Role::Scores | Role::OverFractions | Role::Budgets => {
                let title = table.role.title().map_or_else(String::new, |title| format!("\n{title}\n"));
                format!("{title}\n{}", grid(&rows(table)))
            }
            // Messages may be long: they stand on lines of their own, not in a column.
            Role::Failures => format!("\n{}", table.rows.iter().map(joined).collect::<String>()),
            Role::Measures | Role::Comparisons | Role::Stages | Role::Classes => String::new(),
        },
        Block::Facts(facts) => {
            let fact = |fact: &Fact| format!("  {}: {}\n", fact.name, text::line(&fact.value));
            format!("\n{}", facts.iter().map(fact).collect::<String>())
        }
        Block::Heading(_) | Block::Cell(_) | Block::Folded { .. } => String::new(),
    }
}

fn joined(row: &TableRow<'_>) -> String {
    format!("  {}\n", row.fields.iter().flat_map(lines).collect::<Vec<_>>().join(": "))
}

fn rows(table: &Table<'_>) -> Vec<Vec<Vec<String>>> {
    let heading = table.headings.iter().map(|heading| vec![text::line(heading)]).collect();
    let rows = table.rows.iter().map(|row| row.fields.iter().map(lines).collect());
    std::iter::once(heading).chain(rows).collect()
}

fn lines(field: &Field<'_>) -> Vec<String> {
    match field {
        Field::Text(text) => vec![text::line(text)],
        Field::Entry { entry, .. } => entry_lines(entry),
        Field::Cell { id, .. } => vec![text::line(id)],
        Field::Stage { kind: Some(kind), id } => vec![format!("{} {}", kind.as_str(), id.short())],
        Field::Stage { kind: None, id } => vec![id.short()],
        Field::Failure(code) => vec![code.as_str().to_owned()],
    }
}

/// Returns the means on one line, the deviations below them, then the remarks: narrow enough for four methods side by
/// side.
fn entry_lines(entry: &Entry) -> Vec<String> {
    if entry.runs.is_empty() {
        return vec![notation::ABSENT.to_owned()];
    }
    let mut lines = Vec::new();
    if let (Some(loss), Some(accuracy)) = (entry.loss, entry.accuracy) {
        lines.push(format!("{} / {} %", notation::loss(loss.mean), notation::percent(accuracy.mean)));
        if let (Some(loss), Some(accuracy)) = (loss.std, accuracy.std) {
            lines.push(format!("± {} / {}", notation::loss(loss), notation::percent(accuracy)));
        }
    }
    lines.extend(notation::remarks(entry));
    lines
}

/// Aligns rows of fields, each field a list of lines. The first row is the heading.
pub(crate) fn grid(rows: &[Vec<Vec<String>>]) -> String {
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

/// Returns a statement with `bullet` before its first line.
fn statement(bullet: &str, statement: &Statement<'_>) -> String {
    paragraph(bullet, &statement.wording().to_string())
}

/// Returns a text broken between words, with `bullet` before its first line.
pub(crate) fn paragraph(bullet: &str, text: &str) -> String {
    let indent = " ".repeat(bullet.chars().count());
    let mut out = String::from(bullet);
    let mut column = indent.len();
    for word in text::line(text).split(' ') {
        let length = word.chars().count() + 1;
        if column > indent.len() && column + length > WIDTH {
            out.push_str(&format!("\n{indent}"));
            column = indent.len();
        } else if column > indent.len() {
            out.push(' ');
        }
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
