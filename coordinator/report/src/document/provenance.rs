//! The origin of the numbers: enough to run the sweep again.

use pretext_shared::sweep::SweepView;
use pretext_shared::text::grouped;

use super::model::{Block, Fact, Folded, Section, Topic};
use super::table::{Role, Table};
use crate::notation::ABSENT;
use crate::numbers::Tables;
use crate::statements::{Note, Statement};

/// Returns the section.
pub(super) fn section<'a>(view: &'a SweepView, tables: &'a Tables) -> Section<'a> {
    let provenance = &view.provenance;
    let devices: Vec<&str> = tables.devices.iter().map(String::as_str).collect();
    let mut facts = vec![
        Fact { name: "Sweep", value: view.id.to_string() },
        Fact { name: "Pretext", value: provenance.version.clone() },
        Fact { name: "Numeric class", value: provenance.class.to_string() },
        Fact { name: "Data set", value: provenance.dataset.key.clone() },
        Fact { name: "Fingerprint", value: provenance.dataset.fingerprint.to_string() },
        Fact { name: "Ran on", value: if devices.is_empty() { ABSENT.to_owned() } else { devices.join(", ") } },
    ];
    if let Some(build) = &provenance.build {
        let revision = build.revision.clone().unwrap_or_else(|| "unknown to the build".to_owned());
        let crates = format!("{}, lock file {}", build.crates.len(), build.lock.short());
        facts.extend([Fact { name: "Revision", value: revision }, Fact { name: "Crates", value: crates }]);
    }
    let mut blocks = vec![Block::Facts(facts), Block::Statements(vec![Statement::Note(Note::Reproduction)])];
    let fold = |summary: &str, content| Block::Folded { summary: summary.to_owned(), content };
    if let Some(build) = &provenance.build {
        blocks.push(fold("Crate versions", Folded::Names(&build.crates)));
    }
    blocks.push(fold("Classes", Folded::Table(classes(view))));
    blocks.push(fold("Sweep file, as submitted", Folded::Lines(provenance.spec.lines().collect())));
    Section { topic: Topic::Provenance, blocks }
}

fn classes<'a>(view: &SweepView) -> Table<'a> {
    let facts = &view.provenance.dataset;
    let count =
        |counts: &[u32], class: usize| counts.get(class).map_or_else(|| ABSENT.to_owned(), |n| grouped(u64::from(*n)));
    let mut classes = Table::new(Role::Classes, ["Class", "Training images", "Test images"]);
    for (class, name) in facts.classes.iter().enumerate() {
        classes.row([name.clone(), count(&facts.train, class), count(&facts.test, class)]);
    }
    classes
}
