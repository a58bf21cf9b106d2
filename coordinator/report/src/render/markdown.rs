//! `report.md`: the report as Markdown that can be pasted into a post or a paper.

use pretext_shared::text::{counted, markdown as escaped};

use crate::document::{Block, Document, Fact, Field, Overview, Table};
use crate::notation;
use crate::statements::Statement;

/// Returns the whole document.
pub fn render(document: &Document<'_>) -> String {
    let mut out = format!("# Label efficiency: {}\n\n", escaped(document.overview.name));
    for warning in &document.warnings {
        let warning = escaped(&warning.wording().to_string());
        out.push_str(&format!("> **{warning}**\n\n"));
    }
    out.push_str(&overview(&document.overview));
    for section in &document.sections {
        let blocks: String = section.blocks.iter().map(block).collect();
        if !blocks.is_empty() {
            out.push_str(&format!("\n## {}\n{blocks}", escaped(&section.topic.heading())));
        }
    }
    out
}

fn overview(overview: &Overview<'_>) -> String {
    format!(
        "Sweep {}: {}, {}. Data set {} (fingerprint {}). Pretext {}, numbers of class {}.\n",
        escaped(overview.id),
        counted(overview.cells, "cell"),
        overview.counts(),
        escaped(&overview.dataset.key),
        overview.dataset.fingerprint.short(),
        escaped(overview.version),
        overview.class,
    )
}

/// Returns a block with an empty line before it. Markdown shows neither charts nor cells: files of the report have them.
fn block(block: &Block<'_>) -> String {
    match block {
        Block::Lead(lead) => format!("\n{}\n", statement(lead)),
        Block::Statements(statements) | Block::Illustrated { statements, .. } => {
            let items: String = statements.iter().map(|one| format!("- {}\n", statement(one))).collect();
            format!("\n{items}")
        }
        Block::Table(table) => {
            let title = table.role.title().map_or_else(String::new, |title| format!("\n{title}:\n"));
            format!("{title}\n{}", self::table(table))
        }
        Block::Facts(facts) => {
            let fact = |fact: &Fact| format!("- {}: {}\n", fact.name, escaped(&fact.value));
            format!("\n{}", facts.iter().map(fact).collect::<String>())
        }
        Block::Heading(_) | Block::Cell(_) | Block::Folded { .. } => String::new(),
    }
}

fn statement(statement: &Statement<'_>) -> String {
    let wording = statement.wording();
    format!("**{}**: {}", escaped(wording.subject), escaped(&wording.body()))
}

fn table(table: &Table<'_>) -> String {
    let rule = table.headings.iter().map(|_| "---".to_owned());
    let rows = table.rows.iter().map(|row| line(row.fields.iter().map(field)));
    let heading = [line(table.headings.iter().map(|heading| escaped(heading))), line(rule)];
    heading.into_iter().chain(rows).collect()
}

fn field(field: &Field<'_>) -> String {
    match field {
        Field::Text(text) => escaped(text),
        Field::Entry { entry, .. } => escaped(&notation::entry(entry)),
        Field::Cell { id, .. } => escaped(id),
        Field::Stage { kind: Some(kind), id } => format!("{} {}", kind.as_str(), id.short()),
        Field::Stage { kind: None, id } => id.short(),
        Field::Failure(code) => code.as_str().to_owned(),
    }
}

/// Returns a row of a table, whose fields are escaped.
pub(crate) fn line(fields: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", fields.collect::<Vec<_>>().join(" | "))
}
