//! Two sweeps against each other: test accuracies of B minus those of A, paired by seed.
//!
//! Differences are tested only if both sweeps score the same test images. Everything else that differs is said beside the
//! numbers, because a test cannot tell which of several changes made a difference.

mod lines;
mod pair;
mod text;

use pretext_shared::device::NumericClass;
use pretext_shared::ids::{Fingerprint, SweepId};
use pretext_shared::stage::Extent;
use serde::Serialize;

pub use self::lines::Change;
pub use self::pair::Pair;
use crate::record::Record;

/// Version of the layout of `comparison.json`.
pub const SCHEMA: u32 = 1;

/// The comparison of two sweeps. Accuracies are numbers in 0–1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Against {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The sweep whose accuracies are subtracted.
    pub a: Side,
    /// The sweep whose accuracies are subtracted from.
    pub b: Side,
    /// Reasons why differences are neither paired nor tested, as sentences; empty if they are.
    pub obstacles: Vec<String>,
    /// Further differences between the sweeps, as sentences.
    pub caveats: Vec<String>,
    /// Every method, fraction and policy that both sweeps have, in the order of A's plan.
    pub pairs: Vec<Pair>,
    /// `METHOD/FRACTION/LR` of what only A has.
    pub only_a: Vec<String>,
    /// `METHOD/FRACTION/LR` of what only B has.
    pub only_b: Vec<String>,
    /// The lines that differ between the sweep files; `None` if the files are too long to compare.
    pub spec: Option<Vec<Change>>,
}

/// One of the sweeps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// Id.
    pub id: SweepId,
    /// Cells with a result.
    pub results: usize,
    /// All cells.
    pub cells: usize,
    /// Key of the data set.
    pub dataset: String,
    /// Fingerprint of the data set.
    pub fingerprint: Fingerprint,
    /// Version of Pretext.
    pub version: String,
    /// Numeric class of all stages.
    pub class: NumericClass,
}

impl Against {
    /// Compares two sweeps.
    pub fn of(a: &Record, b: &Record) -> Self {
        let obstacles = obstacles(a, b);
        let pair::Paired { pairs, only_a, only_b } = pair::pairs(a, b, obstacles.is_empty());
        Self {
            schema: SCHEMA,
            a: Side::of(a),
            b: Side::of(b),
            caveats: caveats(a, b),
            obstacles,
            pairs,
            only_a,
            only_b,
            spec: lines::changes(&a.provenance.spec, &b.provenance.spec),
        }
    }

    /// Returns the content of `comparison.json`.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a comparison has only string keys, which JSON can write") + "\n"
    }
}

impl Side {
    fn of(record: &Record) -> Self {
        let provenance = &record.provenance;
        Self {
            id: record.sweep.id.clone(),
            results: record.cells.iter().filter(|cell| cell.test.is_some()).count(),
            cells: record.cells.len(),
            dataset: provenance.dataset.key.clone(),
            fingerprint: provenance.dataset.fingerprint,
            version: provenance.version.clone(),
            class: provenance.class,
        }
    }
}

/// Returns the reasons why accuracies of the two sweeps cannot be paired.
fn obstacles(a: &Record, b: &Record) -> Vec<String> {
    let mut obstacles = Vec::new();
    let (data_a, data_b) = (&a.provenance.dataset, &b.provenance.dataset);
    if data_a.fingerprint != data_b.fingerprint {
        obstacles.push(format!(
            "The data differ: A has {} ({}), B has {} ({}).",
            data_a.key,
            data_a.fingerprint.short(),
            data_b.key,
            data_b.fingerprint.short()
        ));
    }
    let seen = |record: &Record| record.cells.iter().filter_map(|cell| Some(cell.test?.seen)).max().unwrap_or(0);
    if seen(a) != seen(b) {
        obstacles.push(format!("The test sets differ: A scores {} images, B scores {}.", seen(a), seen(b)));
    }
    for (name, record) in [("A", a), ("B", b)] {
        if record.provenance.extent == Extent::Smoke {
            obstacles.push(format!("{name} is a rehearsal (--smoke): its numbers say nothing."));
        }
    }
    obstacles
}

/// Returns the other differences that may matter.
fn caveats(a: &Record, b: &Record) -> Vec<String> {
    let (old, new) = (&a.provenance, &b.provenance);
    let mut caveats = Vec::new();
    let mut unless = |same: bool, caveat: String| {
        if !same {
            caveats.push(caveat);
        }
    };
    unless(old.class == new.class, format!("The numeric classes differ: A ran on {}, B on {}.", old.class, new.class));
    unless(
        old.version == new.version,
        format!("The versions differ: A was made by {}, B by {}.", old.version, new.version),
    );
    let lock = |record: &Record| record.provenance.build.as_ref().map(|build| build.lock);
    unless(old.version != new.version || lock(a) == lock(b), "The crate versions of the builds differ.".to_owned());
    let splits = |record: &Record| {
        let of_seed = record.cells.iter().map(|cell| (cell.seed, cell.split_seed));
        of_seed.collect::<std::collections::BTreeMap<_, _>>()
    };
    let (splits_a, splits_b) = (splits(a), splits(b));
    unless(
        splits_a.iter().all(|(seed, split)| splits_b.get(seed).is_none_or(|other| other == split)),
        "The split seeds differ: pairs of one seed have other labels and other validation images.".to_owned(),
    );
    caveats
}

#[cfg(test)]
mod tests {
    use pretext_shared::stage::Method;
    use serde_json::Value;

    use super::*;
    use crate::fixture::{artifact, shift_accuracy, view};
    use crate::numbers::Verdict;

    fn results(change: impl FnOnce(&mut pretext_shared::sweep::SweepView)) -> Value {
        let mut view = view();
        change(&mut view);
        let folder = crate::render(&view, &artifact, &[]).folder;
        serde_json::from_slice(folder.get("results.json").expect("every report has it")).expect("JSON")
    }

    fn record(results: &Value) -> Record {
        Record::parse(results.to_string().as_bytes()).expect("a record")
    }

    #[test]
    fn differences_are_paired_by_seed_and_tested_together() {
        let old = results(|_| {});
        let new = results(|view| {
            view.provenance.spec.push_str("seeds: [1, 2, 3]\n");
            for (seed, by) in [(1, 0.019), (2, 0.020), (3, 0.021)] {
                shift_accuracy(view, Method::Simclr, 0.05, seed, by);
            }
            view.cells.retain(|cell| (cell.key.method, cell.key.lr.as_str()) != (Method::Rotation, "scheduler"));
        });
        let against = Against::of(&record(&old), &record(&new));
        assert_eq!((&against.obstacles, &against.caveats), (&vec![], &vec![]));
        let of = |method: Method, lr: &str| {
            against.pairs.iter().find(|pair| pair.method == method && pair.lr == lr).expect("both have it")
        };
        let simclr = of(Method::Simclr, "scheduler");
        let difference = simclr.difference.expect("three seeds");
        assert!((difference.difference.mean - 0.02).abs() < 1e-12 && difference.n == 3, "{difference:?}");
        // The only test with a spread: Holm's adjustment changes nothing. t = 0.02 √3 / 0.001, p = 0.00083.
        assert_eq!((simclr.p_holm, simclr.verdict), (difference.p, Some(Verdict::Significant)));
        assert!(difference.p.is_some_and(|p| (8.2e-4..8.5e-4).contains(&p)), "{difference:?}");
        // The same accuracies, because the same stages.
        let supervised = of(Method::Supervised, "scheduler");
        assert_eq!((supervised.same, supervised.verdict), (3, Some(Verdict::NoSpread)));
        assert_eq!(against.only_a, ["rotation/0.05/scheduler", "rotation/0.25/scheduler"]);
        assert!(against.only_b.is_empty());
        assert_eq!(against.spec, Some(vec![Change::B("seeds: [1, 2, 3]".to_owned())]));
        let (markdown, terminal) = (against.markdown(), against.terminal());
        for text in [&markdown, &terminal] {
            assert!(text.contains("SimCLR at 5 % (scheduler), B + 2.00 points"), "{text}");
            assert!(text.contains("+2.00 ± 0.25"), "{text}");
        }
        assert!(markdown.contains("    + seeds: [1, 2, 3]\n"), "{markdown}");
    }

    #[test]
    fn other_data_are_not_tested_and_other_circumstances_are_said() {
        let old = results(|_| {});
        let mut new = old.clone();
        for (pointer, value, says) in [
            ("/provenance/dataset/fingerprint", Value::from("0".repeat(64)), "The data differ"),
            ("/provenance/extent", Value::from("smoke"), "B is a rehearsal"),
        ] {
            let mut new = old.clone();
            *new.pointer_mut(pointer).expect(pointer) = value;
            let against = Against::of(&record(&old), &record(&new));
            assert!(against.obstacles.len() == 1 && against.obstacles[0].contains(says), "{:?}", against.obstacles);
            assert!(against.pairs.iter().all(|pair| pair.difference.is_none() && pair.verdict.is_none()));
            assert!(against.markdown().contains("No difference was tested"));
        }
        for cell in new["cells"].as_array_mut().expect("cells") {
            cell["split_seed"] = Value::from(9);
        }
        new["provenance"]["class"] = Value::from("gpu");
        let caveats = Against::of(&record(&old), &record(&new)).caveats;
        assert!(
            caveats[0].contains("A ran on cpu, B on gpu") && caveats[1].contains("split seeds differ"),
            "{caveats:?}"
        );
    }
}
