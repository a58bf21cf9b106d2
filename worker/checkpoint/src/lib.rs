//! Checkpoints: each has everything that a resume needs in one file; the newest few stay in a folder.

mod bundle;
#[cfg(test)]
mod damage;
mod disk;
mod position;

use std::path::{Path, PathBuf};

use pretext_shared::checkpoint::{file_name, step_of};
use pretext_shared::ids::StageId;
use pretext_shared::point::Point;

pub use bundle::{Bundle, BundleError, write_whole};
pub use disk::{Disk, Os};
pub use position::{Best, Position, Sums};

const KIND: &str = "checkpoint";

/// A training run between two steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The position of the run, with the sums so far.
    pub position: Position,
    /// The model's record.
    pub model: Vec<u8>,
    /// The record of the model of lowest validation loss, if there is one yet.
    pub best: Option<Vec<u8>>,
    /// The optimizer's state.
    pub optimizer: Vec<u8>,
    /// The stage's points so far. A resumed attempt sends them again, so that the points of one attempt are the whole
    /// curve.
    pub points: Vec<Point>,
}

/// The checkpoints of one stage in its folder.
#[derive(Debug, Clone)]
pub struct Checkpoints<D = Os> {
    folder: PathBuf,
    stage: StageId,
    keep: usize,
    disk: D,
}

impl Checkpoints {
    /// Returns the checkpoints of `stage` in `folder`, of which the newest `keep` (at least one) are kept.
    pub fn new(folder: &Path, stage: StageId, keep: u32) -> Self {
        Self::on(Os, folder, stage, keep)
    }
}

impl<D: Disk> Checkpoints<D> {
    fn on(disk: D, folder: &Path, stage: StageId, keep: u32) -> Self {
        Self { folder: folder.to_owned(), stage, keep: (keep as usize).max(1), disk }
    }

    /// Writes `snapshot` and then removes what is older than the last few.
    pub fn save(&self, snapshot: Snapshot) -> Result<PathBuf, BundleError> {
        let path = self.folder.join(file_name(snapshot.position.step));
        let position = serde_json::to_vec(&snapshot.position).expect("integers are always valid JSON");
        let mut sections = vec![("position".to_owned(), position), ("model".to_owned(), snapshot.model)];
        sections.extend(snapshot.best.map(|best| ("best".to_owned(), best)));
        sections.push(("optimizer".to_owned(), snapshot.optimizer));
        let points = serde_json::to_vec(&snapshot.points).expect("points are finite numbers");
        sections.push(("points".to_owned(), points));
        Bundle { kind: KIND.to_owned(), sections }.write_to(&self.disk, &path)?;
        // From here on nothing may fail: the checkpoint is there.
        for old in self.list().unwrap_or_default().into_iter().skip(self.keep) {
            if let Err(error) = self.disk.remove(&old) {
                tracing::warn!(path = %old.display(), %error, "an old checkpoint could not be removed");
            }
        }
        Ok(path)
    }

    /// Returns the newest checkpoint that is whole and of this stage. Damaged and foreign checkpoints are skipped, with
    /// a line in the log. An older one repeats some steps and ends with the same result.
    pub fn newest(&self) -> Result<Option<Snapshot>, BundleError> {
        for path in self.list()? {
            match self.load(&path) {
                Ok(snapshot) => return Ok(Some(snapshot)),
                Err(error) => tracing::warn!(%error, "checkpoint passed over"),
            }
        }
        Ok(None)
    }

    fn load(&self, path: &Path) -> Result<Snapshot, BundleError> {
        let mut bundle = Bundle::read_from(&self.disk, path, KIND)?;
        let mut take = |name: &str| {
            bundle.take(name).ok_or_else(|| BundleError::damaged(path, format!("section `{name}` is missing")))
        };
        let position: Position = serde_json::from_slice(&take("position")?)
            .map_err(|error| BundleError::damaged(path, format!("its position does not read: {error}")))?;
        if position.stage != self.stage {
            let what = format!("it is of stage {}, this is {}", position.stage.short(), self.stage.short());
            return Err(BundleError::Foreign { path: path.to_owned(), what });
        }
        let (model, optimizer) = (take("model")?, take("optimizer")?);
        let best = if position.best.is_some() { Some(take("best")?) } else { None };
        let points = serde_json::from_slice(&take("points")?)
            .map_err(|error| BundleError::damaged(path, format!("its points cannot be parsed: {error}")))?;
        Ok(Snapshot { position, model, best, optimizer, points })
    }

    /// Returns the checkpoint files, newest first.
    fn list(&self) -> Result<Vec<PathBuf>, BundleError> {
        let mut found = self.disk.list(&self.folder).map_err(BundleError::io("list", &self.folder))?;
        found.retain(|path| step_of(path).is_some());
        found.sort_by_key(|path| std::cmp::Reverse(step_of(path)));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use pretext_shared::ids::ContentHash;
    use pretext_shared::point::{Metric, Part};

    use super::*;

    pub(super) fn stage(name: &str) -> StageId {
        StageId(ContentHash::of(name.as_bytes()))
    }

    pub(super) fn snapshot(step: u64) -> Snapshot {
        // An f64 that decimal notation would round.
        let sums = Sums { loss: f64::from_bits(0x3fb9_9999_9999_999b), correct: 7, seen: 11 };
        let best = Best { epoch: 1, loss: -0.0, correct: 1, seen: 2 };
        let position =
            Position { stage: stage("a"), step, epoch: 2, step_in_epoch: 3, images: 9, sums, best: Some(best) };
        let point = Point { part: Part::Train, metric: Metric::Loss, epoch: 1, step: 2, value: sums.loss };
        Snapshot { position, model: vec![1; 40], best: Some(vec![2; 30]), optimizer: vec![3; 20], points: vec![point] }
    }

    #[test]
    fn the_newest_whole_one_of_the_stage_is_loaded() {
        let folder = tempfile::tempdir().expect("a folder");
        let checkpoints = Checkpoints::new(folder.path(), stage("a"), 3);
        assert_eq!(checkpoints.newest().expect("an empty folder"), None);
        for step in [9, 10, 99, 100, 1_000] {
            checkpoints.save(snapshot(step)).expect("saved");
        }
        let names = |step: u64| folder.path().join(file_name(step));
        assert!(!names(9).exists() && !names(10).exists() && names(99).exists(), "the last three are kept");
        assert_eq!(checkpoints.newest().expect("listed"), Some(snapshot(1_000)));

        // After damage of any kind, the checkpoint before is used.
        let whole = fs::read(names(1_000)).expect("read");
        fs::write(names(1_000), &whole[..whole.len() / 2]).expect("cut");
        assert_eq!(checkpoints.newest().expect("listed"), Some(snapshot(100)));
        let mut flipped = fs::read(names(100)).expect("read");
        *flipped.last_mut().expect("not empty") ^= 1;
        fs::write(names(100), flipped).expect("flipped");
        assert_eq!(checkpoints.newest().expect("listed"), Some(snapshot(99)));
        fs::write(names(99), b"").expect("emptied");
        assert_eq!(checkpoints.newest().expect("listed"), None);

        // A checkpoint of another stage is never used.
        checkpoints.save(snapshot(2_000)).expect("saved");
        assert_eq!(Checkpoints::new(folder.path(), stage("b"), 3).newest().expect("listed"), None);
    }
}
