//! `classes.csv` and `confusion.csv`: the test predictions by class. They are too large for `results.json`.

use std::fmt::Write;

use pretext_shared::sweep::SweepView;
use pretext_shared::text;

use crate::numbers::Evaluations;
use crate::numbers::evaluation::Evaluation;

/// `cell,class,name,images,answers,precision,recall,f1`: a row per class of every cell whose predictions are
/// stored.
pub fn classes(view: &SweepView, evaluations: &Evaluations) -> String {
    let names = &view.provenance.dataset.classes;
    let mut csv = String::from("cell,class,name,images,answers,precision,recall,f1\n");
    for (id, evaluation) in all(view, evaluations) {
        for (class, scores) in evaluation.confusion.scores().enumerate() {
            let name = text::csv(names.get(class).map_or("", String::as_str));
            let (images, answers) = (scores.support, scores.predicted);
            let (precision, recall, f1) = (scores.precision, scores.recall, scores.f1);
            writeln!(csv, "{id},{class},{name},{images},{answers},{precision},{recall},{f1}")
                .expect("writing to a string does not fail");
        }
    }
    csv
}

/// `cell,label,predicted,images`: the confusion matrices, by class index; what never happened is left out.
pub fn confusion(view: &SweepView, evaluations: &Evaluations) -> String {
    let mut csv = String::from("cell,label,predicted,images\n");
    for (id, evaluation) in all(view, evaluations) {
        for (label, row) in evaluation.confusion.rows().iter().enumerate() {
            for (predicted, images) in row.iter().enumerate().filter(|(_, images)| **images > 0) {
                writeln!(csv, "{id},{label},{predicted},{images}").expect("writing to a string does not fail");
            }
        }
    }
    csv
}

fn all<'a>(view: &'a SweepView, evaluations: &'a Evaluations) -> impl Iterator<Item = (String, &'a Evaluation)> {
    view.cells.iter().filter_map(|cell| Some((text::csv(&cell.id(&view.id)), evaluations.get(view, cell)?)))
}
