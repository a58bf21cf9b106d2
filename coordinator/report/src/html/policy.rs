//! The section of one learning-rate policy: its table, its chart, its notes and its budgets.

use pretext_shared::sweep::{CellState, SweepView};
use pretext_shared::text::{self, html as escaped};

use super::cell;
use crate::aggregate::{Basis, Entry, PolicyTable, Tables};
use crate::compare::Verdict;
use crate::{curves, verdicts, wording};

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
         class=\"notes\">\n{notes}</ul>\n</div>\n{measures}{comparisons}<details><summary>Budgets in full</summary>\n{budgets}\
         </details>\n</section>\n",
        anchor = anchor(&table.lr),
        lr = escaped(&table.lr),
        scores = scores(view, table, tables),
        chart = curves::label_efficiency(table, tables).inline(),
        notes = notes.collect::<String>(),
        measures = measures(table, tables),
        comparisons = comparisons(table),
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
        out.push_str(&match accuracy.ci95 {
            Some(ci95) => format!(
                "<div class=\"small\">n = {} · 95 % interval ± {} points</div>",
                entry.n(),
                wording::percent(ci95)
            ),
            None => "<div class=\"small\">n = 1: no interval from one seed</div>".to_owned(),
        });
    }
    for (difference, reference) in [(&entry.gain, "supervised"), (&entry.above_floor, "the floor")] {
        if let Some(difference) = difference {
            out.push_str(&format!("<div class=\"small\">{} points to {reference}</div>", wording::gain(difference)));
        }
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

/// A table of plain text; `strong` says which rows stand out.
fn plain(headings: &[&str], rows: &[Vec<String>], strong: impl Fn(usize) -> bool) -> String {
    let headings: String = headings.iter().map(|heading| format!("<th>{}</th>", escaped(heading))).collect();
    let rows = rows.iter().enumerate().map(|(place, row)| {
        let columns: String = row.iter().map(|text| format!("<td>{}</td>", escaped(text))).collect();
        let class = if strong(place) { " class=\"strong\"" } else { "" };
        format!("<tr{class}>{columns}</tr>\n")
    });
    format!(
        "<div class=\"scroll\"><table class=\"plain\">\n<thead><tr>{headings}</tr></thead>\n<tbody>\n{}</tbody></table>\
         </div>\n",
        rows.collect::<String>()
    )
}

/// What the test predictions say, over seeds, and what a classifier scores that always gives one answer.
fn measures(table: &PolicyTable, tables: &Tables) -> String {
    let mut rows = Vec::new();
    for (column, method) in table.methods.iter().enumerate() {
        for row in table.rows.iter().filter(|row| !row.entries[column].runs.is_empty()) {
            let names = [method.title().to_owned(), row.fraction.percent()];
            rows.push(names.into_iter().chain(verdicts::measure_columns(&row.entries[column])).collect());
        }
    }
    if let Some(majority) = &tables.test_set.majority {
        let names = [format!("Always “{}”", majority.class), wording::NO_CELL.to_owned()];
        rows.push(names.into_iter().chain(verdicts::majority_columns(majority)).collect());
    }
    let headings: Vec<&str> = ["Method", "Labels"].into_iter().chain(verdicts::MEASURE_HEADINGS).collect();
    format!(
        "<h3>Measures on the test images</h3>\n<p class=\"small\">Mean ± sample standard deviation over n seeds. NLL, ECE and \
         Brier: lower is better. Per-class scores and confusion matrices are with each cell below.</p>\n{}",
        plain(&headings, &rows, |_| false)
    )
}

/// Every two methods against each other.
fn comparisons(table: &PolicyTable) -> String {
    if table.comparisons.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> =
        table.comparisons.iter().map(|one| verdicts::comparison_columns(one).to_vec()).collect();
    let significant = |place: usize| table.comparisons[place].verdict == Verdict::Significant;
    let overall: Vec<Vec<String>> =
        table.overall.iter().filter_map(verdicts::overall_columns).map(|columns| columns.to_vec()).collect();
    let overall = match overall.is_empty() {
        true => String::new(),
        false => plain(&verdicts::OVERALL_HEADINGS, &overall, |_| false),
    };
    format!(
        "<h3>Differences between methods</h3>\n<p class=\"small\">Test accuracy of the first minus that of the second, paired \
         by seed. McNemar’s test compares two trained models on the same test images; it does not know how much either \
         moves with the seed.</p>\n{}{overall}",
        plain(&verdicts::COMPARISON_HEADINGS, &rows, significant),
    )
}

fn budgets(table: &PolicyTable) -> String {
    let mut rows = Vec::new();
    for (column, method) in table.methods.iter().enumerate() {
        for row in &table.rows {
            let entry = &row.entries[column];
            for (kind, effort) in [("pretext", &entry.pretext), ("downstream", &entry.downstream)] {
                if effort.is_some() {
                    let names = [method.title().to_owned(), row.fraction.percent(), kind.to_owned()];
                    rows.push(names.into_iter().chain(wording::effort_columns(effort.as_ref())).collect());
                }
            }
        }
    }
    let headings: Vec<&str> = ["Method", "Labels", "Stage"].into_iter().chain(wording::EFFORT_HEADINGS).collect();
    plain(&headings, &rows, |_| false)
}
