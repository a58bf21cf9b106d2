//! The page of one sweep: its progress, its grid, running and failed stages, and results so far.

use pretext_engine::SweepStatus;
use pretext_html::{Html, html};
use pretext_report::numbers::PolicyTable;
use pretext_report::{Evaluations, Tables, charts};
use pretext_shared::sweep::{CellState, SweepView};
use pretext_shared::text;

use super::super::answer::Answer;
use super::layout::Tab;
use super::{Added, Page, Part, compare, grid, running, shape, sweeps, words};

/// Most failed cells that are listed; the grid shows the others.
const MOST_FAILURES: usize = 20;

/// Returns the page.
pub(in crate::http) fn of_sweep(view: &SweepView, status: &SweepStatus, answers: &[Answer], now_ms: u64) -> Page {
    // Test predictions are not needed here: they are large, and only the report uses them.
    let tables = Tables::of(view, &Evaluations::read(view, &|_| None));
    let mut parts = vec![
        Part::new("head", head(view, status, now_ms)),
        Part::new("answers", answered(view, answers)),
        Part::controls("controls", controls(view, status)),
    ];
    parts.extend(grid::grids(view, &tables));
    parts.extend([
        Part::new("running", running::stages(view, status)),
        Part::new("running-curves", running::curves(view, status)),
        Part::new("failures", failures(view)),
    ]);
    parts.extend(efficiency(&tables));
    Page { title: view.name.clone(), tab: Tab::Sweeps, parts, added: Added::default() }
}

fn head(view: &SweepView, status: &SweepStatus, now_ms: u64) -> Html {
    let facts = &view.provenance.dataset;
    let counts = words::by_state(&status.cells);
    let (done, total) = status.images;
    let far = if status.cells.is_final() {
        html!("")
    } else {
        html!("<span class=\"big\">{}</span> <span class=\"small\">of the images</span>", words::percent(done, total))
    };
    html!(
        "<p class=\"path\"><a href=\"/\">Sweeps</a></p>\n<div class=\"row\"><h1>{name}{smoke}</h1><p>{far}</p></div>\n\
         <p class=\"lead\"><code>{id}</code> · {key}, {classes}, {train} · submitted {ago}</p>\n{bar}\n\
         <div class=\"row\">{counts}<span class=\"links\"><a href=\"/sweeps/{id}/cells\">All cells</a> · Report: <a href=\"/sweeps/{id}/report\">page</a> \
         <a href=\"/sweeps/{id}/report/results.json\">JSON</a> <a href=\"/sweeps/{id}/report/points.csv\">CSV</a></span></div>\n\
         {obstacles}",
        name = view.name,
        smoke = sweeps::smoke(status.extent),
        far = far,
        id = view.id.as_str(),
        key = facts.key,
        classes = text::counted(facts.classes.len(), "class"),
        train = text::counted(facts.train_total(), "training image"),
        ago = words::ago(status.submitted_ms, now_ms),
        bar = shape::bar(&counts),
        counts = shape::counts(&counts),
        obstacles = sweeps::obstacles(status),
    )
}

/// Returns which method wins with few labels, once there is an answer.
fn answered(view: &SweepView, answers: &[Answer]) -> Html {
    let known: Vec<Answer> = answers.iter().filter(|answer| answer.best.is_some()).cloned().collect();
    let compare = html!(
        "<p class=\"links\"><a class=\"button\" href=\"/sweeps/{}/compare\">Compare curves and methods</a></p>",
        view.id.as_str()
    );
    html!("{}{}", compare::said(&known), compare)
}

/// Returns the controls for cancel and retry. Each is folded, so that an accidental click changes nothing.
fn controls(view: &SweepView, status: &SweepStatus) -> Html {
    let open = status.cells.pending + status.cells.running;
    let cancel = (!status.mark.is_cancelled() && open > 0).then(|| {
        html!(
            "<details><summary>Cancel…</summary><form method=\"post\" action=\"/sweeps/{id}/cancel\"><p>{cells} will have no \
             result. Stages that another sweep needs continue; existing results are kept.</p><button class=\"danger\">Cancel \
             this sweep</button></form></details>\n",
            id = view.id.as_str(),
            cells = text::counted(open, "cell")
        )
    });
    let again = status.cells.failed + if status.mark.is_cancelled() { status.cells.cancelled } else { 0 };
    let retry = (again > 0).then(|| {
        html!(
            "<details><summary>Retry…</summary><form method=\"post\" action=\"/sweeps/{id}/retry\"><p>Failed{cancelled} \
             stages run again, for every sweep that needs them.</p><button>Run {cells} again</button></form></details>\n",
            id = view.id.as_str(),
            cancelled = if status.mark.is_cancelled() { " and cancelled" } else { "" },
            cells = text::counted(again, "cell")
        )
    });
    let controls: Html = [cancel, retry].into_iter().flatten().collect();
    if controls.is_empty() { controls } else { html!("<div class=\"controls\">\n{}</div>", controls) }
}

fn failures(view: &SweepView) -> Html {
    let failed: Vec<_> = view.cells.iter().filter(|cell| view.state(cell) == CellState::Failed).collect();
    if failed.is_empty() {
        return html!("");
    }
    let rows = failed.iter().take(MOST_FAILURES).filter_map(|cell| {
        let (stage, failure) = view.failure(cell)?;
        let kind = view.stages.get(&stage).map_or("", |view| view.stage.spec.kind().as_str());
        Some(html!(
            "<tr><td><a href=\"{path}\">{key}</a></td><td>{kind}</td><td>{code}</td><td>{message}</td></tr>\n",
            path = grid::path(view, cell),
            key = cell.key.to_string(),
            kind = kind,
            code = failure.code.as_str(),
            message = text::shorten(&failure.message, 240)
        ))
    });
    let more = failed.len().saturating_sub(MOST_FAILURES);
    let more = (more > 0).then(|| html!("<p class=\"small\">and {}</p>", text::counted(more, "more cell")));
    html!(
        "<h2>Failed</h2>\n<div class=\"scroll\"><table class=\"plain wide\"><thead><tr><th>Cell</th><th>Stage</th><th>Code</th>\
         <th>What happened</th></tr></thead><tbody>\n{}</tbody></table></div>\n{}",
        rows.collect::<Html>(),
        more
    )
}

/// Returns charts of accuracy against label fraction, from the results so far.
fn efficiency(tables: &Tables) -> Vec<Part> {
    let has_results = |table: &&PolicyTable| table.most_seeds() > 0;
    let figures: Vec<Part> = (0..)
        .zip(tables.policies.iter().filter(has_results))
        .map(|(number, table): (usize, _)| {
            Part::inside("curves", format!("efficiency-{number}"), charts::label_efficiency(table, tables).inline())
        })
        .collect();
    let around = |figure: &dyn Fn(&Part) -> Html| match figures.is_empty() {
        true => html!(""),
        false => html!(
            "<h2>Label efficiency so far</h2>\n<div class=\"charts\">\n{}</div>\n",
            figures.iter().map(figure).collect::<Html>()
        ),
    };
    let whole = around(&|part| html!("<figure{}>{}</figure>\n", part.attributes(), part.html));
    let frame = around(&|_| html!("<figure></figure>\n"));
    let mut parts = vec![Part::framed("curves", whole, &frame)];
    parts.extend(figures);
    parts
}
