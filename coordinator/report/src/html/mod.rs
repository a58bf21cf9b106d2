//! `report.html`: the whole report as one page. It loads nothing, runs nothing (its own security
//! policy forbids both) and prints.

mod cell;
mod confusion;
mod policy;

use std::collections::BTreeSet;

use pretext_shared::stage::Extent;
use pretext_shared::sweep::{Build, CellState, SweepView};
use pretext_shared::text;
use pretext_shared::text::html as escaped;

use super::aggregate::Tables;
use super::evaluation::Evaluations;
use super::{inputs, svg, wording};

const STYLE: &str = include_str!("report.css");

/// The whole page.
pub fn render(view: &SweepView, tables: &Tables, evaluations: &Evaluations) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{name} · label efficiency</title>\n<style>\n{STYLE}{chart}</style>\n</head>\n<body>\n",
        name = escaped(&view.name),
        chart = svg::STYLE,
    );
    out.push_str(&header(view, tables));
    out.push_str("<main>\n");
    for table in &tables.policies {
        out.push_str(&policy::section(view, table, tables));
    }
    out.push_str(&failures(view));
    out.push_str(&cells(view, tables, evaluations));
    out.push_str(&provenance(view));
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn header(view: &SweepView, tables: &Tables) -> String {
    let facts = &view.provenance.dataset;
    let mut out = String::new();
    for warning in wording::warnings(view) {
        let class = match view.provenance.extent {
            Extent::Smoke => "banner smoke",
            Extent::Whole => "banner",
        };
        out.push_str(&format!("<p class=\"{class}\">{}</p>\n", escaped(&warning)));
    }
    let chips = wording::state_counts(tables).map(|(state, count)| {
        format!("<span class=\"chip {0}\"><b>{1}</b> {0}</span>", state.as_str(), text::grouped(count as u64))
    });
    out.push_str(&format!(
        "<header>\n<p class=\"kicker\">Label-efficiency study</p>\n<h1>{name}</h1>\n<p class=\"meta\"><code>{id}</code> · \
         {classes} classes, {train} training images{test} · {key}</p>\n<p class=\"chips\">{chips}</p>\n{contents}</header>\n",
        name = escaped(&view.name),
        id = escaped(view.id.as_str()),
        classes = facts.classes.len(),
        train = text::grouped(facts.train_total()),
        test = match tables.test_set.images {
            0 => String::new(),
            n => format!(", {} test images", text::grouped(n)),
        },
        key = escaped(&facts.key),
        chips = chips.collect::<String>(),
        contents = contents(view, tables),
    ));
    out
}

fn contents(view: &SweepView, tables: &Tables) -> String {
    let mut links: Vec<(String, String)> = tables
        .policies
        .iter()
        .map(|table| (policy::anchor(&table.lr), format!("Policy {}", escaped(&table.lr))))
        .collect();
    if view.cells.iter().any(|cell| view.state(cell) == CellState::Failed) {
        links.push(("failures".to_owned(), "Failed cells".to_owned()));
    }
    links.push(("cells".to_owned(), "Every cell".to_owned()));
    links.push(("provenance".to_owned(), "Provenance".to_owned()));
    let links = links.into_iter().map(|(anchor, name)| format!("<a href=\"#{anchor}\">{name}</a>"));
    format!("<nav>{}</nav>\n", links.collect::<String>())
}

fn failures(view: &SweepView) -> String {
    let rows = view.cells.iter().enumerate().filter_map(|(index, cell)| {
        let (stage, failure) = view.failure(cell)?;
        let kind = view.stages.get(&stage).map_or("", |view| view.stage.spec.kind().as_str());
        Some(format!(
            "<tr><td><a href=\"#{anchor}\">{key}</a></td><td>{kind} <code>{short}</code></td><td><span class=\"chip \
             failed\">{code}</span></td><td>{message}</td></tr>\n",
            anchor = cell::anchor(index),
            key = escaped(&cell.key.to_string()),
            short = stage.short(),
            code = failure.code.as_str(),
            message = escaped(&failure.message),
        ))
    });
    let rows: String = rows.collect();
    if rows.is_empty() {
        return rows;
    }
    format!(
        "<section id=\"failures\">\n<h2>Failed cells</h2>\n<div class=\"scroll\"><table class=\"plain\">\n<thead><tr>\
         <th>Cell</th><th>Stage</th><th>Code</th><th>What happened</th></tr></thead>\n<tbody>\n{rows}</tbody></table>\
         </div>\n</section>\n"
    )
}

fn cells(view: &SweepView, tables: &Tables, evaluations: &Evaluations) -> String {
    let mut out = String::from(
        "<section id=\"cells\">\n<h2>Every cell</h2>\n<p class=\"lead\">Open a cell for its curves, budgets and stages. \
         Cells that share a stage show the same curves: it ran once.</p>\n",
    );
    for table in &tables.policies {
        out.push_str(&format!("<h3>Policy {}</h3>\n", escaped(&table.lr)));
        for (index, one) in view.cells.iter().enumerate().filter(|(_, cell)| cell.key.lr == table.lr) {
            out.push_str(&cell::details(view, index, one, evaluations.get(view, one)));
        }
    }
    out + "</section>\n"
}

fn provenance(view: &SweepView) -> String {
    let provenance = &view.provenance;
    let facts = &provenance.dataset;
    let count = |counts: &[u32], class: usize| {
        counts.get(class).map_or_else(|| wording::NO_CELL.to_owned(), |n| text::grouped(u64::from(*n)))
    };
    let classes = facts.classes.iter().enumerate().map(|(class, name)| {
        format!(
            "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>\n",
            escaped(name),
            count(&facts.train, class),
            count(&facts.test, class)
        )
    });
    format!(
        "<section id=\"provenance\">\n<h2>Provenance</h2>\n<dl class=\"facts\">\n<dt>Sweep</dt><dd><code>{id}</code></dd>\n\
         <dt>Pretext</dt><dd>{version}</dd>\n<dt>Numeric class</dt><dd>{class}</dd>\n<dt>Data set</dt><dd>{key}</dd>\n\
         <dt>Fingerprint</dt><dd><code>{fingerprint}</code></dd>\n<dt>Ran on</dt><dd>{devices}</dd>\n{build}{inputs}</dl>\n<p \
         class=\"small\"><code>coordinator reproduce results.json</code> runs the sweep again and says whether the numbers \
         agree.</p>\n<details><summary>Classes</summary>\n\
         <table class=\"plain\">\n<thead><tr><th>Class</th><th class=\"number\">Training images</th><th class=\"number\">\
         Test images</th></tr></thead>\n<tbody>\n{classes}</tbody></table>\n</details>\n<details><summary>Sweep file, as \
         submitted</summary>\n<pre>{spec}</pre>\n</details>\n</section>\n",
        id = escaped(view.id.as_str()),
        version = escaped(&provenance.version),
        class = provenance.class,
        key = escaped(&facts.key),
        fingerprint = facts.fingerprint,
        devices = devices(view),
        inputs = inputs::sentences(view).iter().map(|sentence| input(sentence)).collect::<String>(),
        build = provenance.build.as_ref().map_or_else(String::new, build),
        classes = classes.collect::<String>(),
        spec = text::html_lines(provenance.spec.lines()),
    )
}

/// A sentence of the form `Name: what.`
fn input(sentence: &str) -> String {
    let (name, what) = sentence.split_once(": ").unwrap_or(("Input", sentence));
    format!("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(what))
}

fn devices(view: &SweepView) -> String {
    let names: BTreeSet<&str> = view.stages.keys().filter_map(|id| Some(view.result(*id)?.device.as_str())).collect();
    match names.is_empty() {
        true => wording::NO_CELL.to_owned(),
        false => names.into_iter().map(escaped).collect::<Vec<_>>().join(", "),
    }
}

fn build(build: &Build) -> String {
    let revision = build.revision.as_deref().map_or_else(|| "not known to the build".to_owned(), escaped);
    format!(
        "<dt>Revision</dt><dd><code>{revision}</code></dd>\n<dt>Crates</dt><dd><details><summary>{count}, lock file \
         <code>{lock}</code></summary>{crates}</details></dd>\n",
        count = build.crates.len(),
        lock = build.lock.short(),
        crates = build.crates.iter().map(|name| escaped(name)).collect::<Vec<_>>().join(" · "),
    )
}
