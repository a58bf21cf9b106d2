//! The page of one cell: its state, its stages, its curves and the explanation of `coordinator explain`.

use pretext_html::{Html, html};
use pretext_report::{charts, notation};
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::{Cell, CellState, StageStatus, SweepView};
use pretext_shared::text;

use super::layout::Tab;
use super::{Added, Page, Part, shape};

/// Returns the page. `lines` is the answer of `coordinator explain`.
pub(in crate::http) fn of_cell(view: &SweepView, cell: &Cell, lines: &[String]) -> Page {
    let parts = vec![
        Part::new("head", head(view, cell)),
        Part::new("failure", failure(view, cell)),
        Part::new("stages", stages(view, cell)),
        Part::new("curves", charts(view, cell)),
        Part::new("explain", explain(lines)),
    ];
    let key = &cell.key;
    let title = format!("{} {} seed {}", key.method.title(), key.fraction.percent(), key.seed);
    Page { title, tab: Tab::Sweeps, parts, added: Added::default() }
}

fn head(view: &SweepView, cell: &Cell) -> Html {
    let (key, state) = (&cell.key, view.state(cell));
    let score = view.result(cell.test).filter(|_| state == CellState::Succeeded).map(|result| result.score);
    let score = score.map(|score| {
        html!(
            "<p><span class=\"big\">{} %</span> <span class=\"small\">test accuracy, loss {}</span></p>",
            notation::percent(score.accuracy),
            notation::loss(score.loss)
        )
    });
    html!(
        "<p class=\"path\"><a href=\"/\">Sweeps</a> / <a href=\"/sweeps/{id}\">{name}</a></p>\n<div class=\"row\"><h1>{method}, \
         {fraction} of the labels</h1>{score}</div>\n<p class=\"lead\">{state} · policy {lr} · seed {seed}</p>",
        id = view.id.as_str(),
        name = view.name,
        method = key.method.title(),
        fraction = key.fraction.percent(),
        score = score,
        state = shape::named(state),
        lr = key.lr,
        seed = key.seed
    )
}

fn failure(view: &SweepView, cell: &Cell) -> Html {
    let Some((stage, failure)) = view.failure(cell) else { return html!("") };
    let kind = view.stages.get(&stage).map_or("", |view| view.stage.spec.kind().as_str());
    let log: Html = failure.log.iter().map(|line| html!("{}\n", line)).collect();
    let log = (!log.is_empty()).then(|| html!("<pre>{}</pre>", log));
    html!(
        "<div class=\"evidence\"><p><b>{code}</b> in the {kind} stage: {message}</p>{log}</div>",
        code = failure.code.as_str(),
        kind = kind,
        message = failure.message,
        log = log
    )
}

fn stages(view: &SweepView, cell: &Cell) -> Html {
    let rows = cell.stages().filter_map(|id| {
        let stage = view.stages.get(&id)?;
        let (kind, total) = (stage.stage.spec.kind(), stage.cost.steps);
        let (far, on) = match &stage.status {
            StageStatus::Running { worker, step } if total > 0 => {
                let words = format!("{} of {}", text::grouped(*step), text::grouped(total));
                (html!("{}<span class=\"steps\">{}</span>", shape::progress(*step, total, &words), words), worker.clone())
            }
            StageStatus::Running { worker, .. } => (html!("testing"), worker.clone()),
            StageStatus::Succeeded(result) if kind == StageKind::Test => (html!(""), result.device.clone()),
            StageStatus::Succeeded(result) => {
                (html!("{}, epoch {} selected", text::counted(result.steps, "step"), result.selected_epoch), result.device.clone())
            }
            StageStatus::Pending | StageStatus::Failed(_) | StageStatus::Cancelled if total == 0 => (html!(""), String::new()),
            StageStatus::Pending | StageStatus::Failed(_) | StageStatus::Cancelled => {
                (html!("{} planned", text::counted(total, "step")), String::new())
            }
        };
        let score = view.result(id).map(|result| {
            notation::score(result.score)
        });
        Some(html!(
            "<tr><td>{kind} <code>{short}</code></td><td>{state}</td><td>{far}</td><td class=\"number\">{score}</td><td>{on}</td></tr>\n",
            kind = kind.as_str(),
            short = id.short(),
            state = shape::named(shape::of_stage(&stage.status)),
            far = far,
            score = score.unwrap_or_else(|| notation::ABSENT.to_owned()),
            on = on
        ))
    });
    html!(
        "<h2>Stages</h2>\n<div class=\"scroll\"><table class=\"plain wide\"><thead><tr><th>Stage</th><th>State</th><th>Steps</th>\
         <th class=\"number\">Loss / accuracy</th><th>On</th></tr></thead><tbody>\n{}</tbody></table></div>\n",
        rows.collect::<Html>()
    )
}

fn charts(view: &SweepView, cell: &Cell) -> Html {
    let charts: Html = charts::of_cell(view, cell)
        .into_iter()
        .filter(charts::Curve::has_values)
        .map(|curve| html!("<figure>{}</figure>\n", curve.chart.inline()))
        .collect();
    if charts.is_empty() { charts } else { html!("<h2>Curves</h2>\n<div class=\"charts\">\n{}</div>\n", charts) }
}

fn explain(lines: &[String]) -> Html {
    let lines: Html = lines.iter().map(|line| html!("{}\n", line)).collect();
    html!("<h2>Explanation</h2>\n<pre class=\"wrap\">{}</pre>\n", lines)
}
