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

#[cfg(test)]
mod tests {
    use pretext_engine::CellNews;
    use pretext_shared::ids::{ContentHash, StageId};
    use pretext_shared::stage::DownstreamMode;
    use pretext_shared::sweep::{Cell, CellKey, CellState};

    use super::*;

    /// Returns a roster of cells under one policy, each with its accuracy.
    fn roster(cells: &[(Method, &str, u64, Option<f64>)]) -> Roster {
        let stage = StageId(ContentHash::of(b"stage"));
        let cell = |(method, fraction, seed, _): &(Method, &str, u64, Option<f64>)| Cell {
            key: CellKey {
                method: *method,
                fraction: fraction.parse().expect("a fraction"),
                lr: "fixed".to_owned(),
                seed: *seed,
            },
            pretext: None,
            downstream: stage,
            test: stage,
            mode: DownstreamMode::FineTune,
        };
        let news = |(place, (_, _, _, accuracy)): (u32, &(Method, &str, u64, Option<f64>))| CellNews {
            place,
            state: if accuracy.is_some() { CellState::Succeeded } else { CellState::Pending },
            test: accuracy.map(|accuracy| Score { loss: 1.0, accuracy, seen: 100 }),
            failure: None,
        };
        Roster {
            sweep: "study-00000001".parse().expect("an id"),
            cells: cells.iter().map(cell).collect(),
            states: (0..).zip(cells).map(news).collect(),
            mark: String::new(),
        }
    }

    #[test]
    fn the_winner_is_that_of_the_fewest_labels_with_two_results() {
        use Method::{Rotation, Simclr, Supervised};
        let cells = [
            (Supervised, "1%", 0, Some(0.2)),
            (Rotation, "1%", 0, None),
            (Supervised, "5%", 0, Some(0.30)),
            (Supervised, "5%", 1, Some(0.32)),
            (Rotation, "5%", 0, Some(0.40)),
            (Rotation, "5%", 1, Some(0.43)),
            (Simclr, "5%", 0, None),
            (Supervised, "100%", 0, Some(0.9)),
            (Rotation, "100%", 0, Some(0.8)),
        ];
        let entries = entries(&roster(&cells));
        assert_eq!(entries.len(), 7);
        let answers = answers(&entries);
        let [answer] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!((answer.best, answer.second), (Some(Rotation), Some(Supervised)));
        for words in ["With 5 % of the labels", "Rotation is best: 41.50 ±", "over 2 seeds", "4 of 5 cells"] {
            assert!(answer.text.contains(words), "{words}: {}", answer.text);
        }
        // Differences of 10 and 11 points, each seed with itself: t(1) = 12.7.
        let difference = answer.difference.expect("two seeds").difference;
        assert!(
            (difference.mean - 0.105).abs() < 1e-12 && answer.text.contains("+4.15 to +16.85 points"),
            "{answer:?}"
        );
    }

    #[test]
    fn an_answer_says_what_the_seeds_do_not_tell() {
        use Method::{Rotation, Supervised};
        let text = |cells: &[(Method, &str, u64, Option<f64>)]| answers(&entries(&roster(cells)))[0].text.clone();
        assert!(text(&[(Supervised, "5%", 0, Some(0.3))]).contains("no label fraction has results of two methods yet"));
        let one = [(Supervised, "5%", 0, Some(0.3)), (Rotation, "5%", 0, Some(0.4))];
        assert!(text(&one).contains("One shared seed does not tell"), "{}", text(&one));
        let apart = [(Supervised, "5%", 1, Some(0.3)), (Rotation, "5%", 0, Some(0.4))];
        assert!(text(&apart).contains("They share no seed"), "{}", text(&apart));
        let close = [one[0], one[1], (Supervised, "5%", 1, Some(0.5)), (Rotation, "5%", 1, Some(0.45))];
        assert!(text(&close).contains("do not tell the two apart"), "{}", text(&close));
    }
}
