//! `report.md`: the study's tables as Markdown that can be pasted into a post or a paper.

use std::collections::BTreeSet;

use pretext_shared::sweep::SweepView;
use pretext_shared::text;
use pretext_shared::text::markdown as escaped;

use super::aggregate::{PolicyTable, Tables};
use super::{inputs, verdicts, wording};

/// The whole document.
pub fn render(view: &SweepView, tables: &Tables) -> String {
    let provenance = &view.provenance;
    let mut out = format!("# Label efficiency: {}\n\n", escaped(&view.name));
    for warning in wording::warnings(view) {
        out.push_str(&format!("> **{}**\n\n", escaped(&warning)));
    }
    out.push_str(&format!(
        "Sweep {}: {} cells, {}. Data set {} (fingerprint {}). Pretext {}, numbers of class {}.\n",
        escaped(view.id.as_str()),
        view.cells.len(),
        wording::states(tables),
        escaped(&provenance.dataset.key),
        provenance.dataset.fingerprint.short(),
        escaped(&provenance.version),
        provenance.class,
    ));
    for sentence in inputs::sentences(view) {
        out.push_str(&format!("\n{}\n", escaped(&sentence)));
    }
    for table in &tables.policies {
        out.push_str(&policy(table, tables));
    }
    out.push_str(&failures(view));
    out.push_str(&origin(view));
    out
}

/// What it takes to run the sweep again.
fn origin(view: &SweepView) -> String {
    let devices: BTreeSet<&str> = view.stages.keys().filter_map(|id| Some(view.result(*id)?.device.as_str())).collect();
    let devices = match devices.is_empty() {
        true => "no device yet".to_owned(),
        false => devices.into_iter().map(escaped).collect::<Vec<_>>().join(", "),
    };
    let build = view.provenance.build.as_ref().map_or_else(String::new, |build| {
        let revision = build.revision.as_deref().map_or_else(|| "unknown".to_owned(), escaped);
        format!(" Revision {revision}; {} crates, lock file {}.", build.crates.len(), build.lock.short())
    });
    format!(
        "\n## Provenance\n\nRan on {devices}.{build} `results.json` holds the sweep file, the data fingerprint and the \
         crate versions; `coordinator reproduce results.json` runs the sweep again and says whether the numbers agree.\n"
    )
}

fn policy(table: &PolicyTable, tables: &Tables) -> String {
    let mut out = format!("\n## Learning-rate policy {}\n\nTest loss / accuracy.\n\n", escaped(&table.lr));
    let headings = table.methods.iter().map(|method| method.title().to_owned());
    out.push_str(&heading(std::iter::once("Labels".to_owned()).chain(headings)));
    for row in &table.rows {
        let entries = row.entries.iter().map(|entry| escaped(&wording::entry(entry)));
        out.push_str(&line(std::iter::once(row.fraction.percent()).chain(entries)));
    }
    let absent = table.rows.iter().flat_map(|row| &row.entries).any(|entry| entry.runs.is_empty());
    if absent {
        out.push_str(&format!("\n{} is not in the sweep.\n", wording::NO_CELL));
    }
    out.push('\n');
    for note in wording::notes(table, tables) {
        out.push_str(&format!("- {}\n", escaped(&note)));
    }
    out.push_str("\nMeasures on the test images, over seeds (mean ± sample standard deviation):\n\n");
    out.push_str(&measures(table, tables));
    if !table.comparisons.is_empty() {
        out.push_str("\nDifferences in test accuracy between methods, paired by seed:\n\n");
        out.push_str(&comparisons(table));
    }
    out.push_str("\nBudgets, per cell:\n\n");
    out.push_str(&budgets(table));
    out
}

fn measures(table: &PolicyTable, tables: &Tables) -> String {
    let headings = ["Method", "Labels"].into_iter().chain(verdicts::MEASURE_HEADINGS);
    let mut out = heading(headings.map(str::to_owned));
    for (column, method) in table.methods.iter().enumerate() {
        for row in table.rows.iter().filter(|row| !row.entries[column].runs.is_empty()) {
            let names = [method.title().to_owned(), row.fraction.percent()];
            out.push_str(&line(names.into_iter().chain(verdicts::measure_columns(&row.entries[column]))));
        }
    }
    if let Some(majority) = &tables.test_set.majority {
        let names = [format!("Always {}", escaped(&majority.class)), wording::NO_CELL.to_owned()];
        out.push_str(&line(names.into_iter().chain(verdicts::majority_columns(majority))));
    }
    out.push_str("\nPer-class scores are in classes.csv, confusion matrices in confusion.csv and in report.html.\n");
    out
}

fn comparisons(table: &PolicyTable) -> String {
    let mut out = heading(verdicts::COMPARISON_HEADINGS.map(str::to_owned).into_iter());
    for one in &table.comparisons {
        out.push_str(&line(verdicts::comparison_columns(one).iter().map(|text| escaped(text))));
    }
    let overall: Vec<_> = table.overall.iter().filter_map(verdicts::overall_columns).collect();
    if !overall.is_empty() {
        out.push('\n');
        out.push_str(&heading(verdicts::OVERALL_HEADINGS.map(str::to_owned).into_iter()));
        overall.iter().for_each(|columns| out.push_str(&line(columns.iter().map(|text| escaped(text)))));
    }
    out
}

fn budgets(table: &PolicyTable) -> String {
    let headings = ["Method", "Labels", "Stage"].into_iter().chain(wording::EFFORT_HEADINGS);
    let mut out = heading(headings.map(str::to_owned));
    for (column, method) in table.methods.iter().enumerate() {
        for row in &table.rows {
            let entry = &row.entries[column];
            for (kind, effort) in [("pretext", &entry.pretext), ("downstream", &entry.downstream)] {
                if effort.is_some() {
                    let names = [method.title().to_owned(), row.fraction.percent(), kind.to_owned()];
                    out.push_str(&line(names.into_iter().chain(wording::effort_columns(effort.as_ref()))));
                }
            }
        }
    }
    out
}

fn failures(view: &SweepView) -> String {
    let mut out = String::new();
    for cell in &view.cells {
        let Some((stage, failure)) = view.failure(cell) else { continue };
        if out.is_empty() {
            out.push_str("\n## Failed cells\n\n");
            out.push_str(&heading(["Cell", "Stage", "Code", "Message"].map(str::to_owned).into_iter()));
        }
        let kind = view.stages.get(&stage).map_or("", |view| view.stage.spec.kind().as_str());
        out.push_str(&line(
            [
                escaped(&cell.key.to_string()),
                format!("{kind} {}", stage.short()),
                failure.code.as_str().to_owned(),
                escaped(&text::shorten(&failure.message, 500)),
            ]
            .into_iter(),
        ));
    }
    out
}

fn heading(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    let rule = cells.iter().map(|_| "---".to_owned()).collect::<Vec<_>>();
    line(cells.into_iter()) + &line(rule.into_iter())
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}
