//! The agreement of a sweep that ran again with its recorded numbers.
//!
//! On CPUs of one feature level the same build computes the same bits, so the numbers must be equal. Anywhere else the
//! order of additions differs, and training amplifies the difference. The second run is then one more draw, and its
//! test accuracies must lie within a band of the recorded ones.

use std::collections::{BTreeMap, BTreeSet};

use pretext_shared::device::NumericClass;
use pretext_shared::ids::StageId;
use pretext_shared::outcome::Score;
use pretext_shared::sweep::CellKey;
use serde::Serialize;

use super::numbers::stats::proportion::half_width;
use super::record::{Record, RecordedCell, RecordedProvenance, RecordedStage};

/// The 0.9995 quantile of the normal distribution: one cell in a thousand is outside by chance.
const Z_9995: f64 = 3.290_526_731_491_696;

/// How close the numbers have to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "standard", rename_all = "kebab-case")]
pub enum Standard {
    /// Equal in every bit: losses, accuracies, epochs, steps, predictions.
    Exact,
    /// Test accuracies within a band, because of all these.
    Band {
        /// Why not exact.
        because: Vec<String>,
    },
}

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// The standard that was applied.
    #[serde(flatten)]
    pub standard: Standard,
    /// Whether it holds for every compared cell.
    pub agree: bool,
    /// Cells with a recorded result.
    pub compared: usize,
    /// Those whose numbers are all equal.
    pub equal: usize,
    /// Cells without a recorded result.
    pub without_record: usize,
    /// The cells whose numbers are not all equal.
    pub differences: Vec<Difference>,
}

/// A cell whose numbers are not all equal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// `METHOD/FRACTION/LR/SEED`.
    pub cell: String,
    /// What differs.
    pub fields: Vec<&'static str>,
    /// Recorded test accuracy.
    pub recorded: f64,
    /// Test accuracy now; `None` if the cell has no result.
    pub reproduced: Option<f64>,
    /// How far it may be off.
    pub band: f64,
    /// Whether it is within what the standard allows.
    pub allowed: bool,
}

impl Record {
    /// How close the numbers of `again` have to be to these.
    pub fn standard(&self, again: &Record) -> Standard {
        let (old, new) = (&self.provenance, &again.provenance);
        let mut because = Vec::new();
        let mut unless = |good: bool, reason: String| {
            if !good {
                because.push(reason);
            }
        };
        unless(
            (old.class, new.class) == (NumericClass::Cpu, NumericClass::Cpu),
            match old.class == new.class {
                true => "numbers of class gpu move with the device and its driver".to_owned(),
                false => format!("the record is of class {}, this run of class {}", old.class, new.class),
            },
        );
        unless(
            old.version == new.version,
            format!("the record was made by version {}, this is {}", old.version, new.version),
        );
        let lock = |provenance: &RecordedProvenance| provenance.build.as_ref().map(|build| build.lock);
        unless(
            lock(old).is_some() && lock(old) == lock(new),
            match lock(old) {
                Some(_) => "the crate versions differ (provenance.build.crates)".to_owned(),
                None => "the record does not name its crate versions".to_owned(),
            },
        );
        if old.class == NumericClass::Cpu && new.class == NumericClass::Cpu {
            let levels: BTreeSet<Option<&str>> = old.devices.iter().chain(&new.devices).map(|one| level(one)).collect();
            unless(
                levels.len() == 1 && !levels.contains(&None),
                match levels.contains(&None) {
                    true => "the CPU's feature level is not known of every stage".to_owned(),
                    false => format!(
                        "CPUs of several feature levels took part: {}",
                        levels.into_iter().flatten().collect::<Vec<_>>().join(", ")
                    ),
                },
            );
        }
        let stages = |record: &Record| record.stages();
        unless(
            stages(self).iter().all(|(key, ids)| stages(again).get(key).is_none_or(|other| other == ids)),
            "stages have other hashes: the algorithm or a default changed since".to_owned(),
        );
        if because.is_empty() { Standard::Exact } else { Standard::Band { because } }
    }

    /// Compares `again` with this record. `band` is the half width in 0–1 that is allowed where numbers cannot be
    /// exact; without it each cell has its own (see [`own_band`]).
    pub fn compare(&self, again: &Record, band: Option<f64>) -> Agreement {
        let standard = self.standard(again);
        let others: BTreeMap<CellKey, &RecordedCell> = again.cells.iter().map(|cell| (cell.key(), cell)).collect();
        let mut differences = Vec::new();
        let mut compared = 0;
        for cell in &self.cells {
            let Some(recorded) = cell.test else { continue };
            compared += 1;
            let other = others.get(&cell.key()).copied();
            let fields = cell.differences(other);
            if fields.is_empty() {
                continue;
            }
            let reproduced = other.and_then(|other| other.test).map(|score| score.accuracy);
            let band = band.unwrap_or_else(|| own_band(recorded));
            let allowed = match standard {
                Standard::Exact => false,
                Standard::Band { .. } => reproduced.is_some_and(|now| (now - recorded.accuracy).abs() <= band),
            };
            let cell = cell.key().to_string();
            differences.push(Difference { cell, fields, recorded: recorded.accuracy, reproduced, band, allowed });
        }
        Agreement {
            agree: compared > 0 && differences.iter().all(|one| one.allowed),
            compared,
            equal: compared - differences.len(),
            without_record: self.cells.len() - compared,
            differences,
            standard,
        }
    }

    fn stages(&self) -> BTreeMap<CellKey, (Option<StageId>, StageId)> {
        let ids = |cell: &RecordedCell| (cell.pretext.as_ref().map(|one| one.stage), cell.downstream.stage);
        self.cells.iter().map(|cell| (cell.key(), ids(cell))).collect()
    }
}

/// How far a test accuracy may be off where numbers cannot be exact: √2 times the half width of the 99.9 % Wilson
/// interval of the recorded one, in 0–1. Two independent sets of that many test images differ by more in one of a thousand
/// cells. The test images are the same here, so the band leaves room for training noise of that size.
pub fn own_band(recorded: Score) -> f64 {
    std::f64::consts::SQRT_2 * half_width(recorded.accuracy, recorded.seen.max(1) as f64, Z_9995)
}

/// `x86-64 with AVX-512` of `cpu (x86-64 with AVX-512)`.
fn level(device: &str) -> Option<&str> {
    Some(device.split_once(" (")?.1.trim_end_matches(')'))
}

impl RecordedCell {
    /// Returns the fields that are not equal in every bit.
    fn differences(&self, other: Option<&RecordedCell>) -> Vec<&'static str> {
        let Some(other) = other else { return vec!["cell"] };
        let mut fields = Vec::new();
        let mut unless = |good: bool, field| {
            if !good {
                fields.push(field);
            }
        };
        unless(self.state == other.state, "state");
        unless(self.test == other.test, "test");
        let numbers = |stage: &RecordedStage| (stage.steps, stage.images, stage.selected_epoch, stage.validation);
        unless(self.pretext.as_ref().map(numbers) == other.pretext.as_ref().map(numbers), "pretext");
        unless(numbers(&self.downstream) == numbers(&other.downstream), "downstream");
        unless(self.predictions == other.predictions, "predictions");
        fields
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::fixture;

    fn results() -> Value {
        let folder = crate::render(&fixture::view(), &fixture::artifact, &[]).folder;
        serde_json::from_slice(folder.get("results.json").expect("every report has it")).expect("JSON")
    }

    fn record(results: &Value) -> Record {
        Record::parse(results.to_string().as_bytes()).expect("a record")
    }

    fn cell(results: &mut Value) -> &mut Value {
        results["cells"].as_array_mut().expect("cells").iter_mut().find(|cell| !cell["test"].is_null()).expect("one")
    }

    #[test]
    fn the_same_numbers_agree_exactly_and_one_changed_bit_does_not() {
        let old = results();
        let same = record(&old).compare(&record(&old), None);
        assert_eq!((same.standard, same.agree, same.compared, same.equal), (Standard::Exact, true, 27, 27));
        assert_eq!(same.without_record, 4);

        let mut new = old.clone();
        let loss = cell(&mut new)["test"]["loss"].as_f64().expect("a number");
        cell(&mut new)["test"]["loss"] = Value::from(f64::from_bits(loss.to_bits() + 1));
        let other = record(&old).compare(&record(&new), None);
        assert_eq!((other.agree, other.equal, other.differences.len()), (false, 26, 1));
        assert_eq!((other.differences[0].fields.as_slice(), other.differences[0].allowed), (&["test"][..], false));

        let mut new = old.clone();
        cell(&mut new)["downstream"]["validation"]["loss"] = Value::from(0.1);
        assert!(!record(&old).compare(&record(&new), None).agree, "validation counts too");
    }

    #[test]
    fn elsewhere_accuracies_agree_within_the_band() {
        let old = results();
        let mut new = old.clone();
        new["provenance"]["devices"] = serde_json::json!(["cpu (x86-64 with AVX2 and FMA)"]);
        let band = own_band(Score { loss: 1.0, accuracy: 0.41, seen: 3782 });
        assert!((band - 0.0372).abs() < 1e-3, "{band}");
        let accuracy = cell(&mut new)["test"]["accuracy"].as_f64().expect("a number");
        for (off, agree) in [(0.9 * band, true), (1.1 * band, false)] {
            cell(&mut new)["test"]["accuracy"] = Value::from(accuracy + off);
            let agreement = record(&old).compare(&record(&new), None);
            let Standard::Band { because } = &agreement.standard else { panic!("exact across feature levels") };
            assert!(because[0].contains("AVX2") && because.len() == 1, "{because:?}");
            assert_eq!(agreement.agree, agree, "{agreement:?}");
        }
        assert!(record(&old).compare(&record(&new), Some(0.5)).agree);
        // A cell that has no result any more is never within a band.
        cell(&mut new)["test"] = Value::Null;
        let agreement = record(&old).compare(&record(&new), Some(0.5));
        assert!(!agreement.agree && agreement.differences[0].reproduced.is_none());
    }

    #[test]
    fn what_cannot_be_exact_is_said() {
        let old = results();
        for (pointer, value, says) in [
            ("/provenance/class", Value::from("gpu"), "class"),
            ("/provenance/version", Value::from("9.9.9"), "9.9.9"),
            ("/provenance/build", Value::Null, "crate versions"),
            ("/provenance/devices", serde_json::json!(["cpu"]), "feature level is not known"),
        ] {
            let mut new = old.clone();
            *new.pointer_mut(pointer).expect(pointer) = value;
            let Standard::Band { because } = record(&new).standard(&record(&old)) else { panic!("{pointer}") };
            assert!(because.iter().any(|reason| reason.contains(says)), "{because:?}");
        }
        for (bad, says) in [("{}", "not a results.json"), (r#"[1]"#, "not a results.json")] {
            assert!(Record::parse(bad.as_bytes()).expect_err(bad).to_string().contains(says));
        }
        let mut new = old;
        new["schema"] = Value::from(2);
        assert!(Record::parse(new.to_string().as_bytes()).expect_err("schema").to_string().contains("schema is 2"));
    }
}
