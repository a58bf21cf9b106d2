//! The results so far: rows are added as they are measured, so that an interrupted run shows what it has.

use serde_json::{Value, json};

use crate::table::{Cell, Table};

/// The name and the columns of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// The table's name.
    pub(crate) name: &'static str,
    /// The headings of its columns.
    pub(crate) columns: &'static [&'static str],
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What was measured, and where.
    facts: Vec<(&'static str, String)>,
    tables: Vec<Table>,
    /// What has no figure, with the reason.
    missing: Vec<String>,
    failed: bool,
}

impl Report {
    /// Adds a fact about the run.
    pub(crate) fn fact(&mut self, name: &'static str, value: String) {
        self.facts.push((name, value));
    }

    /// Adds a row to the table of this form.
    pub(crate) fn row(&mut self, form: Form, row: Vec<Cell>) {
        match self.tables.iter_mut().find(|table| table.name == form.name) {
            Some(table) => table.rows.push(row),
            None => self.tables.push(Table { name: form.name, columns: form.columns, rows: vec![row] }),
        }
    }

    /// Notes that something was left out, with the reason.
    pub(crate) fn skipped(&mut self, what: String) {
        eprintln!("skipped: {what}");
        self.missing.push(format!("skipped: {what}"));
    }

    /// Notes that a measurement has failed, with the reason.
    pub(crate) fn failed(&mut self, what: String) {
        eprintln!("failed: {what}");
        self.missing.push(format!("failed: {what}"));
        self.failed = true;
    }

    /// Returns whether a measurement has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Returns all tables in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let facts: String = self.facts.iter().map(|(name, value)| format!("- {name}: {value}\n")).collect();
        let missing: String = self.missing.iter().map(|missing| format!("- {missing}\n")).collect();
        let tables: Vec<String> = self.tables.iter().map(Table::markdown).collect();
        [vec![facts + &missing], tables].concat().join("\n")
    }

    /// Returns everything as JSON.
    pub(crate) fn json(&self) -> Value {
        let facts: serde_json::Map<String, Value> =
            self.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let tables: Vec<Value> = self.tables.iter().map(Table::json).collect();
        json!({"facts": facts, "tables": tables, "missing": self.missing})
    }
}
