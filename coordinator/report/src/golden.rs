//! Every statistic and measure against what scipy, scikit-learn, statsmodels and pycalib make of the same
//! numbers: `tests/golden/metrics.py` wrote the file.

use serde::Deserialize;

use super::numbers::evaluation::{Evaluation, Predictions};
use super::numbers::stats::mcnemar::{corrected, exact};
use super::numbers::stats::multiple::holm;
use super::numbers::stats::proportion::binomial_half_width;
use super::numbers::stats::{Paired, Summary, bootstrap, summary};

#[derive(Deserialize)]
struct Golden {
    t_975: Vec<(usize, f64)>,
    summaries: Vec<GoldenSummary>,
    paired: Vec<GoldenPaired>,
    mcnemar: Vec<GoldenMcNemar>,
    holm: Vec<GoldenHolm>,
    wilson: Vec<GoldenWilson>,
    bootstrap: Vec<GoldenBootstrap>,
    classification: Vec<Classification>,
}

#[derive(Deserialize)]
struct GoldenSummary {
    values: Vec<f64>,
    mean: f64,
    std: f64,
    ci95: f64,
}

#[derive(Deserialize)]
struct GoldenPaired {
    a: Vec<f64>,
    b: Vec<f64>,
    mean: f64,
    low: f64,
    high: f64,
    p: f64,
}

#[derive(Deserialize)]
struct GoldenMcNemar {
    only_a: u64,
    only_b: u64,
    exact: f64,
    corrected: f64,
}

#[derive(Deserialize)]
struct GoldenHolm {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

#[derive(Deserialize)]
struct GoldenWilson {
    accuracy: f64,
    n: u64,
    half_width: f64,
}

#[derive(Deserialize)]
struct GoldenBootstrap {
    strata: Vec<Vec<f64>>,
    mean: f64,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct Classification {
    name: String,
    labels: Vec<u32>,
    predicted: Vec<u32>,
    probabilities: Vec<Vec<f64>>,
    nll: f64,
    brier: f64,
    ece15: f64,
    balanced_accuracy: f64,
    macro_f1: f64,
    confusion: Vec<Vec<u64>>,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<u64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/golden/metrics.json")).expect("what the script wrote")
}

#[track_caller]
fn close(ours: f64, theirs: f64, within: f64) {
    assert!((ours - theirs).abs() <= within * theirs.abs().max(1e-3), "{ours} is not {theirs}");
}

#[test]
fn intervals_are_scipys() {
    let golden = golden();
    for (freedom, quantile) in golden.t_975 {
        close(summary::t_quantile(freedom), quantile, 1e-9);
    }
    for one in golden.summaries {
        let ours = Summary::of(&one.values).expect("values");
        close(ours.mean, one.mean, 1e-12);
        close(ours.std.expect("several"), one.std, 1e-10);
        close(ours.ci95.expect("several"), one.ci95, 1e-9);
    }
    for one in golden.wilson {
        close(binomial_half_width(one.accuracy, one.n).expect("images"), one.half_width, 1e-9);
    }
}

#[test]
fn paired_tests_are_scipys() {
    for one in golden().paired {
        let differences: Vec<f64> = one.a.iter().zip(&one.b).map(|(a, b)| a - b).collect();
        let ours = Paired::of(&differences).expect("pairs");
        close(ours.difference.mean, one.mean, 1e-9);
        close(ours.difference.mean - ours.difference.ci95.expect("several"), one.low, 1e-8);
        close(ours.difference.mean + ours.difference.ci95.expect("several"), one.high, 1e-8);
        close(ours.p.expect("spread"), one.p, 1e-8);
    }
}

#[test]
fn mcnemar_and_holm_are_statsmodels() {
    let golden = golden();
    for one in golden.mcnemar {
        let n = one.only_a + one.only_b;
        close(exact(one.only_a.min(one.only_b), n), one.exact, 1e-9);
        // statsmodels lets the correction turn no difference into a difference of one.
        if one.only_a != one.only_b {
            close(corrected(one.only_a.abs_diff(one.only_b), n), one.corrected, 1e-9);
        }
    }
    for one in golden.holm {
        for (ours, theirs) in holm(&one.p).into_iter().zip(one.adjusted) {
            close(ours, theirs, 1e-12);
        }
    }
}

#[test]
fn the_bootstrap_draws_from_the_distribution_of_all_resamples() {
    for one in golden().bootstrap {
        let ours = bootstrap::stratified(&one.strata).expect("enough values");
        close(ours.mean, one.mean, 1e-9);
        // The script enumerates every resample; a sample of 20,000 is off by a small part of the width.
        let width = one.high - one.low;
        assert!((ours.low - one.low).abs() < 0.03 * width, "{} is not {}", ours.low, one.low);
        assert!((ours.high - one.high).abs() < 0.03 * width, "{} is not {}", ours.high, one.high);
    }
}

/// The file that a worker would write.
fn csv(one: &Classification) -> String {
    let classes = one.confusion.len();
    let mut text = "sample,path,label,predicted".to_owned();
    (0..classes).for_each(|class| text.push_str(&format!(",p_{class}")));
    for (i, shares) in one.probabilities.iter().enumerate() {
        text.push_str(&format!("\n{i},test/{i}.png,{},{}", one.labels[i], one.predicted[i]));
        shares.iter().for_each(|share| text.push_str(&format!(",{share:.6e}")));
    }
    text + "\n"
}

#[test]
fn measures_are_scikit_learns() {
    for one in golden().classification {
        let ours = Evaluation::of(&Predictions::parse(csv(&one).as_bytes()).expect("a good file"));
        let (name, measures) = (&one.name, ours.measures);
        // Probabilities are rounded to seven digits: their sum is 1 to about a millionth.
        for (ours, theirs) in [
            (measures.nll, one.nll),
            (measures.brier, one.brier),
            (measures.ece15, one.ece15),
            (measures.balanced_accuracy, one.balanced_accuracy),
            (measures.macro_f1, one.macro_f1),
        ] {
            assert!((ours - theirs).abs() < 2e-6, "{name}: {ours} is not {theirs}");
        }
        assert_eq!(ours.confusion.rows(), one.confusion, "{name}");
        for (class, scores) in ours.confusion.scores().enumerate() {
            assert_eq!(scores.support, one.support[class], "{name}");
            close(scores.precision, one.precision[class], 1e-12);
            close(scores.recall, one.recall[class], 1e-12);
            close(scores.f1, one.f1[class], 1e-12);
        }
        assert_eq!(ours.correct.values().filter(|correct| **correct).count(), {
            one.labels.iter().zip(&one.predicted).filter(|(label, predicted)| label == predicted).count()
        });
    }
}
