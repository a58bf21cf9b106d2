//! An entry of the table of scores: accuracy with a bar, loss, gains, missing cells, and the effort of training.

use pretext_html::{Html, html};
use pretext_shared::sweep::CellState;

use super::piece::anchor;
use crate::notation::{ABSENT, count, gain, loss, percent};
use crate::numbers::stats::Summary;
use crate::numbers::{Basis, Effort, Entry, Run};

/// Returns the entry. `majority` is the accuracy of a classifier that always answers the largest class, in 0–1.
pub(super) fn entry(entry: &Entry, majority: Option<f64>) -> Html {
    if entry.runs.is_empty() {
        return html!("<td class=\"none\" title=\"not in the sweep\">{}</td>", ABSENT);
    }
    let scores = entry.accuracy.zip(entry.loss).map(|(accuracy, loss)| score(entry, &accuracy, &loss, majority));
    let differences = [(&entry.gain, "supervised"), (&entry.above_floor, "the floor")];
    let differences = differences.into_iter().filter_map(|(difference, reference)| {
        let difference = gain(difference.as_ref()?);
        Some(html!("<div class=\"small\">{} points to {}</div>", difference, reference))
    });
    html!("<td>{}{}{}{}</td>", scores, differences.collect::<Html>(), missing(entry), efforts(entry))
}

fn score(entry: &Entry, accuracy: &Summary, loss_summary: &Summary, majority: Option<f64>) -> Html {
    let interval = match accuracy.ci95 {
        Some(half) => format!("n = {} · 95 % interval ± {} points", entry.n(), percent(half)),
        None => "n = 1: no interval from one seed".to_owned(),
    };
    html!(
        "<div class=\"accuracy\">{accuracy}{accuracy_std}<small> %</small></div>{bar}<div class=\"loss\">loss {loss}{loss_std}\
         </div><div class=\"small\">{interval}</div>",
        accuracy = percent(accuracy.mean),
        accuracy_std = deviation(accuracy, percent),
        bar = bar(accuracy.mean, majority),
        loss = loss(loss_summary.mean),
        loss_std = deviation(loss_summary, loss),
        interval = interval,
    )
}

fn deviation(summary: &Summary, number: fn(f64) -> String) -> Option<Html> {
    summary.std.map(|std| html!(" <small>± {}</small>", number(std)))
}

/// Returns a bar from 0 to 100 % with a tick at the majority class.
fn bar(accuracy: f64, majority: Option<f64>) -> Html {
    let share = |value: f64| format!("{:.1}%", (100.0 * value).clamp(0.0, 100.0));
    let tick = majority
        .map(|value| html!("<i style=\"left:{}\" title=\"largest class: {} %\"></i>", share(value), percent(value)));
    html!("<div class=\"bar\"><span style=\"width:{}\"></span>{}</div>", share(accuracy), tick)
}

/// Returns a link to each cell without a score.
fn missing(entry: &Entry) -> Option<Html> {
    let chips: Html = entry.runs.iter().filter(|run| run.test.is_none()).map(|run| chip(entry, run)).collect();
    (!chips.is_empty()).then(|| html!("<div class=\"missing\">{}</div>", chips))
}

fn chip(entry: &Entry, run: &Run) -> Html {
    let seed = if entry.runs.len() == 1 { String::new() } else { format!("seed {} ", run.key.seed) };
    let code = match (run.state, run.failure) {
        (CellState::Failed, Some(code)) => format!(": {}", code.as_str()),
        _ => String::new(),
    };
    html!(
        "<a class=\"chip {state}\" href=\"#{anchor}\" title=\"{key}\">{seed}{state}{code}</a> ",
        state = run.state.as_str(),
        anchor = anchor(run.cell),
        key = run.key.to_string(),
        seed = seed,
        code = code
    )
}

/// Returns steps and images seen of both stages, as a small grid.
fn efforts(entry: &Entry) -> Html {
    let rows = [("pretext", &entry.pretext), ("downstream", &entry.downstream)];
    html!(
        "<div class=\"effort\"><span></span><i>steps</i><i>images seen</i>{}</div>",
        rows.into_iter().map(|(kind, effort)| self::effort(kind, effort.as_ref())).collect::<Html>()
    )
}

fn effort(kind: &str, effort: Option<&Effort>) -> Html {
    let Some(effort) = effort else { return html!("<span>{}</span><b>{}</b><b>{}</b>", kind, ABSENT, ABSENT) };
    let planned = match effort.basis {
        Basis::Taken => "",
        Basis::Planned => ", planned",
    };
    html!("<span>{}{}</span><b>{}</b><b>{}</b>", kind, planned, count(&effort.steps), count(&effort.images))
}
