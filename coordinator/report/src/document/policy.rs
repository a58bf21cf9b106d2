//! The section of one learning-rate policy: verdict, scores, conditions, and the tables behind them.

use pretext_shared::split::Fraction;
use pretext_shared::stage::Method;
use pretext_shared::text;

use super::model::{Block, Section, Topic};
use super::table::{Emphasis, Field, Role, Standing, Table, TableRow};
use crate::charts;
use crate::notation::{self, ABSENT, count, loss, lr, p_value, percent, points, spread};
use crate::numbers::stats::bootstrap::Interval;
use crate::numbers::stats::{McNemar, Summary};
use crate::numbers::{Basis, Comparison, Effort, Entry, Majority, Overall, PolicyTable, Tables, Verdict};
use crate::statements;

/// Returns the section.
pub(super) fn section<'a>(table: &'a PolicyTable, tables: &'a Tables) -> Section<'a> {
    let mut blocks: Vec<Block<'a>> = statements::verdict(table).map(Block::Lead).into_iter().collect();
    blocks.push(Block::Table(scores(table, tables)));
    blocks.push(Block::Illustrated {
        chart: charts::label_efficiency(table, tables),
        statements: statements::of_table(table, tables),
    });
    let further = [measures(table, tables), comparisons(table), over_fractions(table), budgets(table)];
    blocks.extend(further.into_iter().filter(|table| !table.rows.is_empty()).map(Block::Table));
    Section { topic: Topic::Policy(&table.lr), blocks }
}

fn scores<'a>(table: &'a PolicyTable, tables: &Tables) -> Table<'a> {
    let majority = tables.test_set.majority.as_ref().map(|majority| majority.accuracy);
    let methods = table.methods.iter().map(|method| method.title());
    let mut scores = Table::new(Role::Scores, std::iter::once("Labels").chain(methods));
    for row in &table.rows {
        let entries = row.entries.iter().map(|entry| {
            let standing = standing(table, row.fraction, entry.method);
            Field::Entry { entry, majority, standing }
        });
        scores.row(std::iter::once(Field::Text(row.fraction.percent())).chain(entries));
    }
    scores
}

/// Returns the verdict on the difference between `method` and supervised, which comes first among the methods and is
/// therefore what a comparison subtracts.
fn standing(table: &PolicyTable, fraction: Fraction, method: Method) -> Standing {
    let here = |one: &&Comparison| (one.fraction, one.a, one.b) == (fraction, method, Method::Supervised);
    let significant = table.comparisons.iter().find(here).filter(|one| one.verdict == Verdict::Significant);
    match significant.and_then(|one| one.accuracy) {
        Some(pairs) if pairs.difference.mean > 0.0 => Standing::Above,
        Some(_) => Standing::Below,
        None => Standing::Untold,
    }
}

/// Returns the entries that have cells by method, with the names of method and fraction.
fn by_method(table: &PolicyTable) -> impl Iterator<Item = ([String; 2], &Entry)> {
    table.methods.iter().flat_map(|method| {
        table.entries_of(*method).map(|(fraction, entry)| ([method.title().to_owned(), fraction.percent()], entry))
    })
}

fn measures<'a>(table: &PolicyTable, tables: &Tables) -> Table<'a> {
    let headings = [
        "Method",
        "Labels",
        "n",
        "accuracy %",
        "95 % t-interval",
        "NLL",
        "ECE, 15 bins",
        "Brier",
        "balanced accuracy %",
        "macro-F1 %",
    ];
    let mut measures = Table::new(Role::Measures, headings);
    for (names, entry) in by_method(table) {
        measures.row(names.into_iter().chain(measure_columns(entry)));
    }
    if let Some(majority) = &tables.test_set.majority {
        let names = [format!("Always {}", majority.class), ABSENT.to_owned()];
        measures.row(names.into_iter().chain(majority_columns(majority)));
    }
    measures
}

fn measure_columns(entry: &Entry) -> [String; 8] {
    let over = |summary: Option<Summary>, number: fn(f64) -> String| {
        summary.map_or_else(|| ABSENT.to_owned(), |summary| spread(&summary, number))
    };
    let measures = entry.measures;
    [
        entry.n().to_string(),
        over(entry.accuracy, percent),
        interval(entry),
        over(measures.map(|one| one.nll), loss),
        over(measures.map(|one| one.ece15), loss),
        over(measures.map(|one| one.brier), loss),
        over(measures.map(|one| one.balanced_accuracy), percent),
        over(measures.map(|one| one.macro_f1), percent),
    ]
}

/// Returns the columns of a classifier that always answers the largest class. Its probabilities are 0 and 1, so it has
/// no finite likelihood.
fn majority_columns(majority: &Majority) -> [String; 8] {
    let none = || ABSENT.to_owned();
    let (balanced, f1) = (percent(majority.balanced_accuracy), percent(majority.macro_f1));
    [none(), percent(majority.accuracy), none(), none(), none(), none(), balanced, f1]
}

fn interval(entry: &Entry) -> String {
    match (entry.n(), entry.accuracy.and_then(|accuracy| accuracy.ci95)) {
        (0, _) => ABSENT.to_owned(),
        (_, Some(half)) => format!("± {}", percent(half)),
        (_, None) => "none: one seed".to_owned(),
    }
}

fn comparisons<'a>(table: &PolicyTable) -> Table<'a> {
    let headings = [
        "labels",
        "methods",
        "seeds",
        "difference in points, 95 % t-interval",
        "p, with Holm",
        "verdict",
        "McNemar: right where the other is wrong, p",
    ];
    let row = |one: &Comparison| TableRow {
        fields: comparison_columns(one).map(Field::Text).into(),
        emphasis: if one.verdict == Verdict::Significant { Emphasis::Strong } else { Emphasis::Plain },
    };
    Table { rows: table.comparisons.iter().map(row).collect(), ..Table::new(Role::Comparisons, headings) }
}

fn comparison_columns(one: &Comparison) -> [String; 7] {
    let difference = one.accuracy.map_or_else(|| ABSENT.to_owned(), |pairs| notation::difference(&pairs));
    let p = notation::p_values(one.accuracy.and_then(|pairs| pairs.p), one.p_holm);
    [
        one.fraction.percent(),
        format!("{} − {}", one.a.title(), one.b.title()),
        one.accuracy.map_or(0, |pairs| pairs.n).to_string(),
        difference,
        p,
        one.verdict.words().to_owned(),
        mcnemar(one),
    ]
}

fn mcnemar(one: &Comparison) -> String {
    let tests = one.mcnemar.iter().map(|seeded| {
        let McNemar { only_a, only_b, p, .. } = seeded.test;
        let p = match p_value(p) {
            small if small.starts_with('<') => format!("p {small}"),
            p => format!("p = {p}"),
        };
        format!("seed {}: {} / {}, {p}", seeded.seed, text::grouped(only_a), text::grouped(only_b))
    });
    let tests: Vec<String> = tests.collect();
    if tests.is_empty() { ABSENT.to_owned() } else { tests.join("; ") }
}

fn over_fractions<'a>(table: &PolicyTable) -> Table<'a> {
    let headings =
        ["method", "accuracy %, mean over fractions, 95 % interval", "minus supervised in points, 95 % interval"];
    let columns = |one: &Overall| {
        let interval = |interval: Interval, number: fn(f64) -> String| {
            format!("{} [{}, {}]", number(interval.mean), number(interval.low), number(interval.high))
        };
        let over = one.over_supervised.map_or_else(|| ABSENT.to_owned(), |over| interval(over, points));
        Some([one.method.title().to_owned(), interval(one.accuracy?, percent), over])
    };
    let mut rows = Table::new(Role::OverFractions, headings);
    table.overall.iter().filter_map(columns).for_each(|columns| rows.row(columns));
    rows
}

fn budgets<'a>(table: &PolicyTable) -> Table<'a> {
    let headings = [
        "Method",
        "Labels",
        "Stage",
        "images train + val",
        "steps",
        "images seen",
        "validation loss / acc",
        "learning rate",
    ];
    let mut budgets = Table::new(Role::Budgets, headings);
    for (names, entry) in by_method(table) {
        for (kind, effort) in [("pretext", &entry.pretext), ("downstream", &entry.downstream)] {
            if let Some(effort) = effort {
                budgets.row(names.clone().into_iter().chain([kind.to_owned()]).chain(effort_columns(effort)));
            }
        }
    }
    budgets
}

fn effort_columns(effort: &Effort) -> [String; 5] {
    let planned = match effort.basis {
        Basis::Taken => "",
        Basis::Planned => " planned",
    };
    let validation = effort.validation.as_ref().map_or_else(
        || ABSENT.to_owned(),
        |score| format!("{} / {} %", loss(score.loss.mean), percent(score.accuracy.mean)),
    );
    [
        format!("{} + {}", count(&effort.train_images), count(&effort.validation_images)),
        format!("{}{planned}", count(&effort.steps)),
        format!("{}{planned}", count(&effort.images)),
        validation,
        effort.lr.iter().map(lr).collect::<Vec<_>>().join(", "),
    ]
}
