//! Pushed data sets, which workers can fetch.

use std::collections::{BTreeMap, BTreeSet};

use pretext_shared::ids::{ArtifactId, Fingerprint, SweepId};

use super::{Change, Engine, PushedData, State};

/// A removed data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Its key, `KIND:NAME`.
    pub key: String,
    /// Its artifacts that no other pushed data set needs.
    pub artifacts: Vec<ArtifactId>,
}

/// The same content is stored already, under another name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the same data are already stored as {key}: use that name in the sweep, or first run `coordinator data remove {}`",
    fingerprint.short()
)]
pub struct KeptAs {
    /// Its key, `KIND:NAME`.
    pub key: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
}

/// The reason why a data set is not removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemovalRefused {
    /// No fingerprint begins with the text.
    #[error(
        "no pushed data set has a fingerprint that begins with `{0}`: list the data sets with `coordinator data list`"
    )]
    Unknown(String),
    /// More than one fingerprint begins with it.
    #[error("`{text}` may be any of {candidates}: give more characters of the fingerprint")]
    Ambiguous {
        /// The given text.
        text: String,
        /// The matching data sets.
        candidates: String,
    },
    /// A sweep needs the data set.
    #[error("stages of {sweep} still read {key}: cancel the sweep first, or wait until it is final")]
    Needed {
        /// The data set.
        key: String,
        /// A sweep that needs it.
        sweep: SweepId,
    },
}

impl Engine {
    /// Stores a data set for workers to fetch; returns the data set of the same content that it replaces.
    ///
    /// # Errors
    /// If the same content is stored under another name: sweeps with that name would not find it any more.
    pub fn push_data(&mut self, data: PushedData) -> Result<Option<PushedData>, KeptAs> {
        let fingerprint = data.facts.fingerprint;
        if let Some(kept) = self.table.data().get(&fingerprint).filter(|kept| kept.facts.key != data.facts.key) {
            return Err(KeptAs { key: kept.facts.key.clone(), fingerprint });
        }
        let old = self.table.set_data(fingerprint, Some(data.clone()));
        self.wake_readers(fingerprint);
        self.changes.push(Change::SetData(fingerprint, Some(Box::new(data))));
        Ok(old)
    }

    /// Removes a data set. `text` is its fingerprint, or an unambiguous beginning of it.
    ///
    /// # Errors
    /// If there is no such data set, or if unfinished stages need it.
    pub fn remove_data(&mut self, text: &str) -> Result<Removed, RemovalRefused> {
        let fits: Vec<Fingerprint> = self
            .table
            .data()
            .keys()
            .filter(|known| !text.is_empty() && known.to_string().starts_with(text))
            .copied()
            .collect();
        let fingerprint = match fits[..] {
            [] => return Err(RemovalRefused::Unknown(text.to_owned())),
            [one] => one,
            _ => {
                let candidates = fits.iter().map(Fingerprint::short).collect::<Vec<_>>().join(", ");
                return Err(RemovalRefused::Ambiguous { text: text.to_owned(), candidates });
            }
        };
        let unknown = || RemovalRefused::Unknown(text.to_owned());
        if let Some(sweep) = self.reader(fingerprint) {
            let key = self.table.data().get(&fingerprint).ok_or_else(unknown)?.facts.key.clone();
            return Err(RemovalRefused::Needed { key, sweep });
        }
        let gone = self.table.set_data(fingerprint, None).ok_or_else(unknown)?;
        self.wake_all();
        self.changes.push(Change::SetData(fingerprint, None));
        let others = self.pushed_artifacts();
        let artifacts = gone.artifacts().filter(|artifact| !others.contains(artifact)).collect();
        Ok(Removed { fingerprint, key: gone.facts.key, artifacts })
    }

    /// Returns a sweep with unfinished stages that read these data.
    fn reader(&self, fingerprint: Fingerprint) -> Option<SweepId> {
        let mut open = self.table.stages().values().filter(|entry| {
            entry.outline.data == fingerprint
                && matches!(entry.progress.state, State::Waiting(_) | State::Leased(_))
                && entry.is_needed()
        });
        open.find_map(|entry| entry.needs.first().map(|need| need.sweep.clone()))
    }

    /// Returns every pushed data set, by fingerprint.
    pub fn pushed_data(&self) -> &BTreeMap<Fingerprint, PushedData> {
        self.table.data()
    }

    /// Returns every artifact that a pushed data set needs: none of them is garbage.
    pub fn pushed_artifacts(&self) -> BTreeSet<ArtifactId> {
        self.table.data().values().flat_map(PushedData::artifacts).collect()
    }

    /// Returns the data set of each key: of several with one name, the newest.
    pub(super) fn pushed_by_key(&self) -> BTreeMap<&str, &PushedData> {
        let mut newest: BTreeMap<&str, &PushedData> = BTreeMap::new();
        for data in self.table.data().values() {
            let known = newest.entry(&data.facts.key).or_insert(data);
            if known.pushed_ms < data.pushed_ms {
                *known = data;
            }
        }
        newest
    }
}

impl PushedData {
    /// Returns the artifacts that the data set needs.
    pub(super) fn artifacts(&self) -> impl Iterator<Item = ArtifactId> {
        self.packs.iter().copied().chain([self.packing])
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::dataset::Procedural;
    use pretext_shared::device::NumericClass;
    use pretext_shared::ids::ContentHash;

    use super::*;
    use crate::fixtures::{SWEEP, device, lease, persist, submission, worker};
    use crate::{Limits, Offer, Snapshot};

    #[test]
    fn pushed_data_are_fetched_by_who_has_room_and_stay_while_they_are_needed() {
        let mut engine = Engine::restore(Limits::default(), Snapshot::default(), 0);
        let mut folder = submission(SWEEP, 1);
        for (_, record) in &mut folder.stages {
            record.source = "image-folder:cells".parse().expect("a key");
        }
        let id = folder.sweep.id.clone();
        let mut facts = Procedural { train_per_class: 40, test_per_class: 10, seed: 0 }.facts();
        facts.key = "image-folder:cells".to_owned();
        let artifact = |name: &str| ArtifactId(ContentHash::of(name.as_bytes()));
        let data = PushedData {
            facts: facts.clone(),
            packing: artifact("list"),
            packs: vec![artifact("one"), artifact("two")],
            files: 1,
            bytes: 1000,
            pushed_ms: 1,
        };
        let offer = |data_cache| Offer {
            devices: vec![device("cpu", NumericClass::Cpu, 1)],
            datasets: vec![],
            version: String::new(),
            data_cache,
        };
        engine.submit(folder);
        assert_eq!(engine.push_data(data.clone()), Ok(None));
        let mut renamed = data.clone();
        renamed.facts.key = "image-folder:other".to_owned();
        assert_eq!(engine.push_data(renamed).expect_err("one name").key, data.facts.key);
        engine.register(worker("small"), offer(999), 0);
        engine.register(worker("none"), offer(0), 0);
        assert!(lease(&mut engine, "small", "r", 0).is_none() && lease(&mut engine, "none", "r", 0).is_none());
        let obstacles = engine.status(&id, 0).expect("known").obstacles.join("; ");
        assert!(obstacles.contains("image-folder:cells has 1 MiB, but its --data-cache-limit is 0 MiB"), "{obstacles}");
        assert!(obstacles.contains("it does not have image-folder:cells"), "{obstacles}");
        assert!(!engine.has_prospects(&worker("none"), "cpu"));
        engine.register(worker("large"), offer(1000), 0);
        assert!(engine.has_prospects(&worker("large"), "cpu"));
        let grant = lease(&mut engine, "large", "r", 0).expect("it can fetch");
        assert_eq!((grant.packing, grant.place.as_deref()), (Some(data.packing), Some("image-folder:cells")));

        // New sweeps find the second data set of that name; the first stays for sweeps that use it.
        let mut newer = data;
        newer.facts.fingerprint = pretext_shared::ids::Fingerprint(ContentHash::of(b"other"));
        (newer.packs[1], newer.packing, newer.pushed_ms) = (artifact("three"), artifact("other list"), 2);
        assert_eq!(engine.push_data(newer.clone()), Ok(None));
        assert_eq!(engine.announced(0)["image-folder:cells"], [Ok(newer.facts.clone())]);
        let refused = engine.remove_data(&facts.fingerprint.to_string()[..6]).expect_err("it is needed").to_string();
        assert!(refused.contains(&id.to_string()), "{refused}");
        assert!(matches!(engine.remove_data(""), Err(RemovalRefused::Unknown(_))));
        engine.cancel(&id).expect("known");

        // The durable state equals the state in memory, and artifacts that another data set needs are kept.
        let mut snapshot = Snapshot::default();
        persist(&mut snapshot, engine.take_changes());
        let mut engine = Engine::restore(Limits::default(), snapshot.clone(), 0);
        let removed = engine.remove_data(&facts.fingerprint.to_string()).expect("nobody needs it");
        assert_eq!(removed.artifacts, [artifact("two"), artifact("list")]);
        persist(&mut snapshot, engine.take_changes());
        assert_eq!(snapshot.data.keys().collect::<Vec<_>>(), [&newer.facts.fingerprint]);
        let kept = BTreeSet::from([artifact("one"), artifact("three"), artifact("other list")]);
        assert_eq!(engine.pushed_artifacts(), kept);
        assert_eq!(
            engine.unreferenced(["one", "two", "three"].map(artifact)),
            [artifact("two")],
            "collection spares them"
        );
    }
}
