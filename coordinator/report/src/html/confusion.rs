//! The confusion matrix of a cell with the scores of its classes.

use pretext_shared::text::{self, html as escaped};

use crate::evaluation::Evaluation;
use crate::wording;

/// More classes than this make a matrix that nobody reads; their scores are still listed.
const MOST: usize = 20;

/// Rows are labels, columns are answers; beside them recall, precision and F1. A row's shade is the share of
/// its images.
pub(super) fn table(evaluation: &Evaluation, names: &[String]) -> String {
    let rows = evaluation.confusion.rows();
    let name = |class: usize| names.get(class).map_or_else(|| format!("class {class}"), |name| escaped(name));
    let matrix = rows.len() <= MOST;
    let answers: String = match matrix {
        true => (0..rows.len()).map(|class| format!("<th scope=\"col\">{}</th>", name(class))).collect(),
        false => String::new(),
    };
    let body = rows.iter().zip(evaluation.confusion.scores()).enumerate().map(|(label, (row, scores))| {
        let cells = row.iter().enumerate().filter(|_| matrix).map(|(answer, images)| {
            let share = *images as f64 / scores.support.max(1) as f64;
            let class = if answer == label { " class=\"hit\"" } else { "" };
            format!("<td{class} style=\"--share:{share:.3}\">{}</td>", text::grouped(*images))
        });
        format!(
            "<tr><th scope=\"row\">{}</th>{}<td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            name(label),
            cells.collect::<String>(),
            text::grouped(scores.support),
            wording::percent(scores.recall),
            wording::percent(scores.precision),
            wording::percent(scores.f1),
        )
    });
    let measures = &evaluation.measures;
    format!(
        "<p class=\"small\">Test images by class (rows) and answer (columns). NLL {nll} · ECE (15 bins) {ece} · Brier {brier} · \
         balanced accuracy {balanced} % · macro-F1 {f1} %</p>\n<div class=\"scroll\"><table class=\"confusion\">\n<thead><tr>\
         <th></th>{answers}<th>images</th><th>recall %</th><th>precision %</th><th>F1 %</th></tr></thead>\n<tbody>\n{body}\
         </tbody></table></div>\n",
        nll = wording::loss(measures.nll),
        ece = wording::loss(measures.ece15),
        brier = wording::loss(measures.brier),
        balanced = wording::percent(measures.balanced_accuracy),
        f1 = wording::percent(measures.macro_f1),
        body = body.collect::<String>(),
    )
}
