//! The answer to a person's first question: which method wins with few labels? It is a reading of the cells that have a
//! result so far. The report tests every pair of methods.

use std::collections::BTreeMap;

use pretext_report::notation;
use pretext_report::numbers::stats::proportion::binomial_half_width;
use pretext_report::numbers::stats::{Paired, Summary};
use pretext_shared::outcome::Score;
use pretext_shared::split::Fraction;
use pretext_shared::stage::Method;
use serde::Serialize;

use super::roster::Roster;

/// The cells of one method, fraction and policy, over their seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Entry {
    /// Name of the learning-rate policy.
    pub(super) lr: String,
    /// Method.
    pub(super) method: Method,
    /// Label fraction.
    pub(super) fraction: Fraction,
    /// Number of cells.
    pub(super) cells: usize,
    /// Number of cells with a result.
    pub(super) n: usize,
    /// Test accuracy over those cells, in 0–1, with the 95 % t-interval.
    pub(super) accuracy: Option<Summary>,
    /// Half width of the 95 % interval that comes from the number of test images alone.
    pub(super) test_half_width: Option<f64>,
    #[serde(skip)]
    scores: BTreeMap<u64, Score>,
}

/// The answer for one learning-rate policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Answer {
    /// Name of the policy.
    pub(super) lr: String,
    /// The smallest label fraction at which two methods have a result; `None` before that.
    pub(super) fraction: Option<Fraction>,
    /// The method with the highest mean accuracy there.
    pub(super) best: Option<Method>,
    /// The method after it.
    pub(super) second: Option<Method>,
    /// Accuracy of the best minus that of the second, over the seeds that both have.
    pub(super) difference: Option<Paired>,
    /// The answer as a sentence.
    pub(super) text: String,
}

/// Returns all entries, by policy, fraction and method, each in the order of the plan.
pub(super) fn entries(roster: &Roster) -> Vec<Entry> {
    let mut policies: Vec<&str> = Vec::new();
    let mut found: BTreeMap<(usize, Fraction, usize), Entry> = BTreeMap::new();
    for (cell, news) in roster.iter() {
        let lr = cell.key.lr.as_str();
        let policy = policies.iter().position(|known| *known == lr).unwrap_or_else(|| {
            policies.push(lr);
            policies.len() - 1
        });
        let method = Method::ALL.iter().position(|method| *method == cell.key.method).unwrap_or(usize::MAX);
        let entry = found.entry((policy, cell.key.fraction, method)).or_insert_with(|| Entry {
            lr: lr.to_owned(),
            method: cell.key.method,
            fraction: cell.key.fraction,
            cells: 0,
            n: 0,
            accuracy: None,
            test_half_width: None,
            scores: BTreeMap::new(),
        });
        entry.cells += 1;
        entry.scores.extend(news.test.map(|score| (cell.key.seed, score)));
    }
    let mut entries: Vec<Entry> = found.into_values().collect();
    for entry in &mut entries {
        let values: Vec<f64> = entry.scores.values().map(|score| score.accuracy).collect();
        entry.n = values.len();
        entry.accuracy = Summary::of(&values);
        let seen = entry.scores.values().map(|score| score.seen).min();
        entry.test_half_width =
            entry.accuracy.zip(seen).and_then(|(accuracy, seen)| binomial_half_width(accuracy.mean, seen));
    }
    entries
}

/// Returns the answer for each policy, in the order of the plan.
pub(super) fn answers(entries: &[Entry]) -> Vec<Answer> {
    let policies = entries.chunk_by(|a, b| a.lr == b.lr);
    let answers = policies.filter_map(|policy| Some(answer(policy.first()?.lr.clone(), policy)));
    answers.collect()
}

/// Returns the answer from the entries of one policy.
fn answer(lr: String, policy: &[Entry]) -> Answer {
    let rows = policy.chunk_by(|a, b| a.fraction == b.fraction);
    let ranked = rows.map(|row| {
        let mut ranked: Vec<(&Entry, Summary)> =
            row.iter().filter_map(|entry| Some((entry, entry.accuracy?))).collect();
        ranked.sort_by(|a, b| b.1.mean.total_cmp(&a.1.mean));
        (row, ranked)
    });
    let mut ranked = ranked.filter(|(_, ranked)| ranked.len() > 1);
    match ranked.next() {
        Some((row, ranked)) => compare(lr, row, &ranked),
        None => {
            let text = format!("Policy {lr}: no label fraction has results of two methods yet.");
            Answer { lr, fraction: None, best: None, second: None, difference: None, text }
        }
    }
}

fn compare(lr: String, row: &[Entry], ranked: &[(&Entry, Summary)]) -> Answer {
    let [(best, accuracy), (second, next), ..] = ranked else {
        return Answer { lr, fraction: None, best: None, second: None, difference: None, text: String::new() };
    };
    let shared =
        best.scores.iter().filter_map(|(seed, score)| Some(score.accuracy - second.scores.get(seed)?.accuracy));
    let difference = Paired::of(&shared.collect::<Vec<_>>());
    let interval = accuracy.ci95.map(|half| format!(" ± {}", notation::percent(half))).unwrap_or_default();
    let seeds = if best.n == 1 { "one seed".to_owned() } else { format!("{} seeds", best.n) };
    let mut text = format!(
        "With {fraction} of the labels (policy {lr}), {best} is best: {mean}{interval} % over {seeds}. {second} follows \
         with {next} %. ",
        fraction = best.fraction.percent(),
        best = best.method.title(),
        mean = notation::percent(accuracy.mean),
        second = second.method.title(),
        next = notation::percent(next.mean),
    );
    text.push_str(&match &difference {
        Some(Paired { n: 2.., difference: Summary { mean, .. }, p: None }) => {
            format!("The difference is {} points in every shared seed.", notation::points(*mean))
        }
        Some(Paired { difference: Summary { mean, ci95: Some(half), .. }, .. }) => {
            let (low, high) = (notation::points(mean - half), notation::points(mean + half));
            match mean - half > 0.0 {
                true => format!("The difference is {low} to {high} points (95 % interval over shared seeds)."),
                false => format!(
                    "These seeds do not tell the two apart: the difference is {low} to {high} points (95 % interval \
                     over shared seeds)."
                ),
            }
        }
        Some(_) => "One shared seed does not tell how much of the difference is chance.".to_owned(),
        None => "They share no seed, so the difference has no interval.".to_owned(),
    });
    let (cells, done): (usize, usize) = row.iter().fold((0, 0), |(cells, n), entry| (cells + entry.cells, n + entry.n));
    if done < cells {
        text.push_str(&format!(" So far {done} of {cells} cells have a result there."));
    }
    Answer { lr, fraction: Some(best.fraction), best: Some(best.method), second: Some(second.method), difference, text }
}
