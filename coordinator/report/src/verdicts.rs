//! Sentences and columns about what numbers prove: comparisons, measures, budgets, shortcuts. Plain text:
//! whoever shows it escapes it.

use pretext_shared::sweep::SweepView;
use pretext_shared::text;

use super::aggregate::{Entry, Majority, PolicyTable};
use super::budgets::{Budgets, Equality};
use super::compare::{Comparison, Overall, Verdict};
use super::shortcut::{Cue, EARLY_EPOCHS, Shortcut};
use super::stats::bootstrap::{Interval, LEAST};
use super::stats::{McNemar, Summary};
use super::wording::{NO_CELL, loss, percent};

/// The headings of [`measure_columns`].
pub const MEASURE_HEADINGS: [&str; 8] =
    ["n", "accuracy %", "95 % t-interval", "NLL", "ECE, 15 bins", "Brier", "balanced accuracy %", "macro-F1 %"];

/// What the test predictions of an entry say, over its seeds.
pub fn measure_columns(entry: &Entry) -> [String; 8] {
    let over = |summary: Option<Summary>, written: fn(f64) -> String| match summary {
        Some(Summary { mean, std: Some(std), .. }) => format!("{} ± {}", written(mean), written(std)),
        Some(Summary { mean, .. }) => written(mean),
        None => NO_CELL.to_owned(),
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

/// The line of a classifier that always answers the largest class. Its probabilities are 0 and 1, so it has no
/// finite likelihood.
pub fn majority_columns(majority: &Majority) -> [String; 8] {
    let none = || NO_CELL.to_owned();
    [
        none(),
        percent(majority.accuracy),
        none(),
        none(),
        none(),
        none(),
        percent(majority.balanced_accuracy),
        percent(majority.macro_f1),
    ]
}

/// The 95 % t-interval of an entry's accuracy, in points.
pub fn interval(entry: &Entry) -> String {
    match (entry.n(), entry.accuracy.and_then(|accuracy| accuracy.ci95)) {
        (0, _) => NO_CELL.to_owned(),
        (_, Some(half)) => format!("± {}", percent(half)),
        (_, None) => "none: one seed".to_owned(),
    }
}

/// A p-value with three decimals.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// The headings of [`comparison_columns`].
pub const COMPARISON_HEADINGS: [&str; 7] = [
    "labels",
    "methods",
    "seeds",
    "difference in points, 95 % t-interval",
    "p, with Holm",
    "verdict",
    "McNemar: right where the other is wrong, p",
];

/// A comparison in columns.
pub fn comparison_columns(one: &Comparison) -> [String; 7] {
    let difference = one.accuracy.map_or_else(
        || NO_CELL.to_owned(),
        |pairs| {
            let mean = 100.0 * pairs.difference.mean;
            match pairs.difference.ci95 {
                Some(half) => format!("{mean:+.2} ± {}", percent(half)),
                None => format!("{mean:+.2}"),
            }
        },
    );
    let p = match (one.accuracy.and_then(|pairs| pairs.p), one.p_holm) {
        (Some(p), Some(holm)) => format!("{}, {}", p_value(p), p_value(holm)),
        _ => NO_CELL.to_owned(),
    };
    [
        one.fraction.percent(),
        names(one),
        one.accuracy.map_or(0, |pairs| pairs.n).to_string(),
        difference,
        p,
        verdict(one.verdict).to_owned(),
        mcnemar(one),
    ]
}

/// `SimCLR − Supervised`.
fn names(one: &Comparison) -> String {
    format!("{} − {}", one.a.title(), one.b.title())
}

/// What may be said of a difference, in words.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NoSharedSeed => "not comparable: no seed in common",
        Verdict::OneSeed => "one seed: cannot be told",
        Verdict::NoSpread => "the same in all seeds: no test",
        Verdict::NotSignificant => "not significant",
        Verdict::NotAmongSoMany => "not significant among so many comparisons",
        Verdict::Significant => "significant",
    }
}

fn mcnemar(one: &Comparison) -> String {
    let words = one.mcnemar.iter().map(|seeded| {
        let McNemar { only_a, only_b, p, .. } = seeded.test;
        let p = match p_value(p) {
            small if small.starts_with('<') => format!("p {small}"),
            p => format!("p = {p}"),
        };
        format!("seed {}: {} / {}, {p}", seeded.seed, text::grouped(only_a), text::grouped(only_b))
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { NO_CELL.to_owned() } else { words.join("; ") }
}

/// Which differences of a table are significant, in words; `None` where there is nothing to compare.
pub fn significance(table: &PolicyTable) -> Option<String> {
    let of = |verdict: Verdict| table.comparisons.iter().filter(move |one| one.verdict == verdict);
    let all = table.comparisons.len();
    let tested = table.comparisons.iter().filter(|one| one.p_holm.is_some()).count();
    if all == 0 {
        return None;
    }
    if tested == 0 {
        let why = if of(Verdict::OneSeed).next().is_some() {
            "it takes at least two seeds that both methods have"
        } else if of(Verdict::NoSpread).next().is_some() {
            "they are the same in all seeds, so there is no spread to hold them against"
        } else {
            "no two methods have a seed in common yet"
        };
        return Some(format!(
            "Significance: no difference between methods can be called significant or not here: {why}."
        ));
    }
    let named = of(Verdict::Significant).map(|one| {
        let higher = one.accuracy.is_some_and(|pairs| pairs.difference.mean > 0.0);
        let (more, less) = if higher { (one.a, one.b) } else { (one.b, one.a) };
        format!("{} over {} at {}", more.title(), less.title(), one.fraction.percent())
    });
    let named: Vec<String> = named.collect();
    let lost = of(Verdict::NotAmongSoMany).count();
    let mut words = format!(
        "Significance: {tested} paired t-tests over shared seeds at the 5 % level, p-values adjusted for their number \
         (Holm; unadjusted, one in twenty would come out significant by chance alone). "
    );
    if named.is_empty() {
        words.push_str("No difference between methods is significant.");
    } else {
        words.push_str(&format!("Significant: {}. ", named.join(", ")));
        let rest = tested - named.len();
        words.push_str(&match rest {
            0 => "No tested difference is not significant.".to_owned(),
            1 => "The other one is not significant.".to_owned(),
            rest => format!("The other {rest} are not significant."),
        });
    }
    if lost > 0 {
        let (are, themselves) = if lost == 1 { ("is", "itself") } else { ("are", "themselves") };
        words.push_str(&format!(" {lost} of them {are} below 0.05 by {themselves}, before the adjustment."));
    }
    if tested < all {
        words.push_str(&format!(" {} of {all} pairs could not be tested.", all - tested));
    }
    Some(words)
}

/// The headings of [`overall_columns`].
pub const OVERALL_HEADINGS: [&str; 3] =
    ["method", "accuracy %, mean over fractions, 95 % interval", "minus supervised in points, 95 % interval"];

/// A method over all fractions, in columns; `None` where there are too few seeds for an interval.
pub fn overall_columns(one: &Overall) -> Option<[String; 3]> {
    let words = |interval: Interval, sign: &str| {
        let points = |value: f64| if sign.is_empty() { percent(value) } else { format!("{:+.2}", 100.0 * value) };
        format!("{} [{}, {}]", points(interval.mean), points(interval.low), points(interval.high))
    };
    let over = one.over_supervised.map_or_else(|| NO_CELL.to_owned(), |interval| words(interval, "+"));
    Some([one.method.title().to_owned(), words(one.accuracy?, ""), over])
}

/// How the intervals over fractions were made, or why there are none.
pub fn bootstrap(table: &PolicyTable) -> String {
    match table.overall.iter().filter_map(|one| one.accuracy).map(|interval| interval.n).min() {
        Some(n) => format!(
            "Over fractions: stratified percentile bootstrap, seeds resampled within each fraction (at least {n} seeds in \
             each); it takes fractions as independent, which shared seeds make them only nearly."
        ),
        None => format!(
            "Over fractions: no bootstrap interval, because it takes at least {LEAST} seeds in every cell to resample."
        ),
    }
}

/// Whether the numbers of a table were bought at the same price, in words.
pub fn budget(table: &PolicyTable) -> Option<String> {
    let budgets = Budgets::of(table)?;
    let planned = if budgets.planned { " (some counts are still the plan's)" } else { "" };
    let methods = match budgets.methods {
        Equality::Equal => {
            "equal: at each label fraction every method takes the same downstream steps and sees the same \
                            number of images in them"
        }
        Equality::EqualSteps => {
            "equal in steps and not in images: at each label fraction every method takes the same downstream steps"
        }
        Equality::Unequal => {
            "NOT equal: at a label fraction methods take different numbers of downstream steps, so differences between \
             them may be the budget's"
        }
    };
    let pretext = match budgets.pretext {
        None => String::new(),
        Some(Equality::Equal) => {
            "; pretext training comes on top, the same steps and images for all methods that have it".to_owned()
        }
        Some(Equality::EqualSteps) => {
            "; pretext training comes on top: the same steps for all methods that have it, but \
                                       not the same number of images, because methods make different numbers of views"
                .to_owned()
        }
        Some(Equality::Unequal) => {
            "; pretext training comes on top and is NOT equal among methods: see the budgets below".to_owned()
        }
    };
    let fractions = match budgets.fractions {
        _ if table.rows.len() < 2 => "",
        Equality::Equal | Equality::EqualSteps => ". Every fraction takes the same number of steps",
        Equality::Unequal => {
            ". Smaller fractions take fewer steps (a budget in epochs): rows differ in training as well as in labels"
        }
    };
    Some(format!("Budget{planned}: {methods}{pretext}{fractions}."))
}

/// The warning about a pretext task that was solved early.
pub fn shortcut(view: &SweepView, found: &Shortcut) -> String {
    let Shortcut { epoch, epochs, accuracy, .. } = *found;
    let mut fractions: Vec<String> = Vec::new();
    let cells = found.cells.iter().filter_map(|place| view.cells.get(*place));
    for fraction in cells.clone().map(|cell| cell.key.fraction.percent()) {
        if !fractions.contains(&fraction) {
            fractions.push(fraction);
        }
    }
    let method = cells.clone().next().map_or("Pretext", |cell| cell.key.method.title());
    let seed = cells.clone().next().map_or(0, |cell| cell.key.seed);
    let seen = found.seen.map_or_else(String::new, |seen| format!(" of {} views", text::grouped(seen)));
    let early = if epoch <= EARLY_EPOCHS { "" } else { "the first tenth of " };
    let why = match found.cue {
        Cue::Orientation => {
            "Four rotations of natural pictures are told apart in 50–93 % of cases at the end of training, so something \
             other than the content probably gives the orientation away: borders, compression blocks, a watermark, \
             lighting of the acquisition. Look at grayscale, centre-cropped and blurred pictures, and at the frozen-probe \
             accuracy beside that of a random encoder, before reading anything into this method's results"
        }
        Cue::Identity => {
            "Two views of a picture should be hard to tell from other pictures' views for many epochs, so something other \
             than the content probably links them: a colour cast, borders, a batch with too few other pictures. \
             Strengthen the colour jitter or enlarge the batch before reading anything into this method's results"
        }
    };
    format!(
        "Suspiciously easy pretext task: {method} ({fractions} of the labels, seed {seed}) has a validation accuracy of \
         {accuracy} %{seen} after epoch {epoch}, within {early}{epochs} epochs. {why}.",
        fractions = fractions.join(", "),
        accuracy = percent(accuracy),
    )
}
