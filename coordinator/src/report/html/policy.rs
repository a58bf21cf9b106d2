//! The section of one learning-rate policy: its table, its chart, its notes and its budgets.

use pretext_shared::sweep::{CellState, SweepView};

use super::cell;
use crate::report::aggregate::{Basis, Entry, PolicyTable, Tables};
use crate::report::text::{self, html as escaped};
use crate::report::{curves, wording};

/// Where links to the section go.
pub(super) fn anchor(lr: &str) -> String {
    format!("policy-{}", text::file_name(lr))
}

/// The section.
pub(super) fn section(view: &SweepView, table: &PolicyTable, tables: &Tables) -> String {
    let notes =
        wording::notes(table, tables).into_iter().map(|note| format!("<li>{}</li>\n", unbroken(&escaped(&note))));
    format!(
        "<section id=\"{anchor}\">\n<h2>Learning-rate policy <em>{lr}</em></h2>\n<p class=\"lead\">Test accuracy and loss. \
         Rows are label fractions, columns are \
         methods. Below each number: what training took.</p>\n{scores}<div class=\"beside\">\n<figure>{chart}<figcaption>Mean \
         over seeds; bars show one standard deviation where there are several seeds.</figcaption></figure>\n<ul \
         class=\"notes\">\n{notes}</ul>\n</div>\n<details><summary>Budgets in full</summary>\n{budgets}</details>\n</section>\n",
        anchor = anchor(&table.lr),
        lr = escaped(&table.lr),
        scores = scores(view, table, tables),
        chart = curves::label_efficiency(table, tables).inline(),
        notes = notes.collect::<String>(),
        budgets = budgets(table),
    )
}

fn scores(view: &SweepView, table: &PolicyTable, tables: &Tables) -> String {
    let majority = tables.test_set.majority.as_ref().map(|majority| majority.accuracy);
    let headings = table.methods.iter().map(|method| format!("<th scope=\"col\">{}</th>", escaped(method.title())));
    let rows = table.rows.iter().map(|row| {
        let entries = row.entries.iter().map(|one| entry(view, one, majority));
        format!("<tr><th scope=\"row\">{}</th>{}</tr>\n", row.fraction.percent(), entries.collect::<String>())
    });
    format!(
        "<div class=\"scroll\"><table class=\"scores\">\n<thead><tr><th scope=\"col\">Labels</th>{}</tr></thead>\n<tbody>\n\
         {}</tbody></table></div>\n",
        headings.collect::<String>(),
        rows.collect::<String>()
    )
}

fn entry(view: &SweepView, entry: &Entry, majority: Option<f64>) -> String {
    if entry.runs.is_empty() {
        return format!("<td class=\"none\" title=\"not in the sweep\">{}</td>", wording::NO_CELL);
    }
    let mut out = String::from("<td>");
    if let (Some(accuracy), Some(loss)) = (entry.accuracy, entry.loss) {
        let spread = |std: Option<f64>, written: fn(f64) -> String| {
            std.map_or_else(String::new, |std| format!(" <small>± {}</small>", written(std)))
        };
        out.push_str(&format!(
            "<div class=\"accuracy\">{}{}<small> %</small></div>",
            wording::percent(accuracy.mean),
            spread(accuracy.std, wording::percent)
        ));
        out.push_str(&bar(accuracy.mean, majority));
        out.push_str(&format!(
            "<div class=\"loss\">loss {}{}</div>",
            wording::loss(loss.mean),
            spread(loss.std, wording::loss)
        ));
        if let Some(ci95) = accuracy.ci95 {
            out.push_str(&format!(
                "<div class=\"small\">n = {} · 95 % interval ± {} points</div>",
                entry.n(),
                wording::percent(ci95)
            ));
        }
    }
    if let Some(gain) = &entry.gain {
        out.push_str(&format!("<div class=\"small\">{} points to supervised</div>", wording::gain(gain)));
    }
    out.push_str(&missing(view, entry));
    out + &efforts(entry) + "</td>"
}

/// Steps and images seen of both stages, as a small grid.
fn efforts(entry: &Entry) -> String {
    let rows = [("pretext", &entry.pretext), ("downstream", &entry.downstream)].map(|(kind, effort)| match effort {
        None => format!("<span>{kind}</span><b>{0}</b><b>{0}</b>", wording::NO_CELL),
        Some(effort) => {
            let planned = match effort.basis {
                Basis::Taken => "",
                Basis::Planned => ", planned",
            };
            let (steps, images) = (wording::count(&effort.steps), wording::count(&effort.images));
            format!("<span>{kind}{planned}</span><b>{steps}</b><b>{images}</b>")
        }
    });
    format!("<div class=\"effort\"><span></span><i>steps</i><i>images seen</i>{}</div>", rows.concat())
}

/// Keeps numbers together with their signs where lines break.
fn unbroken(words: &str) -> String {
    words.replace(" %", "&nbsp;%").replace("± ", "±&nbsp;").replace(" /", "&nbsp;/")
}

/// A bar from 0 to 100 % with a tick at the majority class.
fn bar(accuracy: f64, majority: Option<f64>) -> String {
    let share = |value: f64| (100.0 * value).clamp(0.0, 100.0);
    let tick = majority.map_or_else(String::new, |value| {
        format!("<i style=\"left:{:.1}%\" title=\"largest class: {} %\"></i>", share(value), wording::percent(value))
    });
    format!("<div class=\"bar\"><span style=\"width:{:.1}%\"></span>{tick}</div>", share(accuracy))
}

/// A link to each cell that has no score.
fn missing(view: &SweepView, entry: &Entry) -> String {
    let one_cell = entry.runs.len() == 1;
    let chips = entry.runs.iter().filter(|run| run.test.is_none()).map(|run| {
        let state = run.state.as_str();
        let seed = if one_cell { String::new() } else { format!("seed {} ", run.seed) };
        let code = match (run.state, run.failure) {
            (CellState::Failed, Some(code)) => format!(": {}", code.as_str()),
            _ => String::new(),
        };
        let title = view.cells.get(run.cell).map_or_else(String::new, |cell| escaped(&cell.key.to_string()));
        format!(
            "<a class=\"chip {state}\" href=\"#{}\" title=\"{title}\">{seed}{state}{code}</a> ",
            cell::anchor(run.cell)
        )
    });
    let chips: String = chips.collect();
    if chips.is_empty() { chips } else { format!("<div class=\"missing\">{chips}</div>") }
}

fn budgets(table: &PolicyTable) -> String {
    let headings = ["Method", "Labels", "Stage"].into_iter().chain(wording::EFFORT_HEADINGS);
    let headings: String = headings.map(|heading| format!("<th>{heading}</th>")).collect();
    let mut rows = String::new();
    for (column, method) in table.methods.iter().enumerate() {
        for row in &table.rows {
            let entry = &row.entries[column];
            for (kind, effort) in [("pretext", &entry.pretext), ("downstream", &entry.downstream)] {
                if effort.is_some() {
                    let names = [method.title().to_owned(), row.fraction.percent(), kind.to_owned()];
                    let columns = names.into_iter().chain(wording::effort_columns(effort.as_ref()));
                    let columns: String = columns.map(|text| format!("<td>{}</td>", escaped(&text))).collect();
                    rows.push_str(&format!("<tr>{columns}</tr>\n"));
                }
            }
        }
    }
    format!(
        "<div class=\"scroll\"><table class=\"plain\">\n<thead><tr>{headings}</tr></thead>\n<tbody>\n{rows}</tbody></table>\
         </div>\n"
    )
}
