//! The confusion matrix of a cell with the scores of its classes.

use pretext_html::{Html, html};
use pretext_shared::text::grouped;

use crate::notation::{loss, percent};
use crate::numbers::evaluation::{ClassScores, Evaluation};

/// A matrix of more classes is unreadable. Their scores are still listed.
const MOST: usize = 20;

/// Returns the matrix: rows are labels, columns are answers. Recall, precision and F1 are beside them. The shade of a
/// field is its share of the row's images.
pub(super) fn table(evaluation: &Evaluation, names: &[String]) -> Html {
    let rows = evaluation.confusion.rows();
    let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
    let matrix = rows.len() <= MOST;
    let answers = (0..rows.len()).filter(|_| matrix).map(|class| html!("<th scope=\"col\">{}</th>", name(class)));
    let body = rows.iter().zip(evaluation.confusion.scores()).enumerate().map(|(label, (row, scores))| {
        let counts: &[u64] = if matrix { row } else { &[] };
        self::row(&name(label), label, counts, &scores)
    });
    let measures = &evaluation.measures;
    html!(
        "<p class=\"small\">Test images by class (rows) and answer (columns). NLL {nll} · ECE (15 bins) {ece} · Brier {brier} · \
         balanced accuracy {balanced} % · macro-F1 {f1} %</p>\n<div class=\"scroll\"><table class=\"confusion\">\n<thead><tr>\
         <th></th>{answers}<th>images</th><th>recall %</th><th>precision %</th><th>F1 %</th></tr></thead>\n<tbody>\n{body}\
         </tbody></table></div>\n",
        nll = loss(measures.nll),
        ece = loss(measures.ece15),
        brier = loss(measures.brier),
        balanced = percent(measures.balanced_accuracy),
        f1 = percent(measures.macro_f1),
        answers = answers.collect::<Html>(),
        body = body.collect::<Html>(),
    )
}

fn row(name: &str, label: usize, counts: &[u64], scores: &ClassScores) -> Html {
    let fields = counts.iter().enumerate().map(|(answer, images)| {
        let class = if answer == label { "hit" } else { "miss" };
        let share = *images as f64 / scores.support.max(1) as f64;
        html!("<td class=\"{}\" style=\"--share:{}\">{}</td>", class, format!("{share:.3}"), grouped(*images))
    });
    html!(
        "<tr><th scope=\"row\">{name}</th>{fields}<td>{images}</td><td>{recall}</td><td>{precision}</td><td>{f1}</td></tr>\n",
        name = name,
        fields = fields.collect::<Html>(),
        images = grouped(scores.support),
        recall = percent(scores.recall),
        precision = percent(scores.precision),
        f1 = percent(scores.f1)
    )
}
