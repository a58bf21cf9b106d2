//! Copies of what the coordinator refused as invalid. They stay in the worker's state directory until a person has looked
//! at them: a defect destroys no work. The newest copies are kept, within a bound. `worker refused` lists them, hands
//! them in ([`crate::hand_in`]) and drops them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use pretext_shared::claim::{Claim, Proof};
use pretext_shared::ids::{AttemptId, Fence, StageId};
use pretext_shared::outcome::ArtifactKind;
use serde::{Deserialize, Serialize};

use crate::spool::{Batch, Ending};

/// The folder of the copies, below the state directory.
const FOLDER: &str = "refused";
/// The file with the facts of a copy, in its folder.
const RECORD: &str = "refusal.json";
/// Number of copies that are kept.
const MOST: usize = 16;

/// A refused attempt.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) claim: Claim,
    /// The device that the attempt ran on, as results name it.
    pub(crate) device: String,
    /// The coordinator's reason.
    pub(crate) reason: String,
    /// Points that the coordinator has not acknowledged.
    pub(crate) points: Vec<Batch>,
    /// How the attempt ended, if its trainer was done.
    pub(crate) ending: Option<Ending>,
}

/// The facts of a copy, as a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The stage.
    pub stage: StageId,
    /// The attempt's fence.
    pub fence: Fence,
    /// The coordinator's reason.
    pub reason: String,
    /// The kept files: each has the name of its kind.
    pub files: Vec<ArtifactKind>,
    /// The device that the attempt ran on. Empty in copies of earlier versions, like all fields below.
    #[serde(default)]
    pub device: String,
    /// The proof of the attempt's grant.
    #[serde(default)]
    pub proof: Proof,
    /// Batches of points that the coordinator had not acknowledged.
    #[serde(default)]
    pub batches: Vec<Batch>,
    /// How the attempt ended.
    #[serde(default)]
    pub ending: Option<Ending>,
}

/// A copy on the disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The name of its folder, by which a person names it.
    pub id: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its facts.
    pub record: Record,
}

/// Why a copy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The disk failed.
    #[error("cannot read {path}: {cause}", path = path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// No copy has this id.
    #[error("there is no copy `{0}`: list the copies with `worker refused list`")]
    Unknown(String),
    /// Several copies have an id that begins with the text.
    #[error("`{text}` may be any of {candidates}: give more characters of the id")]
    Ambiguous {
        /// The given text.
        text: String,
        /// The matching ids.
        candidates: String,
    },
    /// The copy could not be removed.
    #[error("cannot remove {path}: {cause}", path = path.display())]
    Stays {
        /// Its folder.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
}

/// Keeps `copy` with links to the files of its result, removes the oldest copies beyond the bound, and returns the
/// copy's folder.
pub(crate) async fn keep(state_dir: &Path, copy: Copy) -> io::Result<PathBuf> {
    let state_dir = state_dir.to_owned();
    tokio::task::spawn_blocking(move || keep_now(&state_dir, copy)).await.map_err(io::Error::other)?
}

fn keep_now(state_dir: &Path, copy: Copy) -> io::Result<PathBuf> {
    let all = state_dir.join(FOLDER);
    let AttemptId { stage, fence } = copy.claim.attempt;
    // Names sort by time: the oldest copy goes first.
    let folder = all.join(format!("{}-{}-{fence}", uuid::Uuid::now_v7(), stage.short()));
    std::fs::create_dir_all(&folder)?;
    let files = match &copy.ending {
        Some(Ending::Finished { finished, .. }) => finished.files.clone(),
        Some(Ending::Failed { .. }) | None => BTreeMap::new(),
    };
    for (kind, path) in &files {
        let target = folder.join(kind.as_str());
        // A link costs no room. Across file systems the content is copied.
        if std::fs::hard_link(path, &target).is_err() {
            std::fs::copy(path, &target)?;
        }
    }
    let record = Record {
        stage,
        fence,
        reason: copy.reason,
        files: files.into_keys().collect(),
        device: copy.device,
        proof: copy.claim.proof,
        batches: copy.points,
        ending: copy.ending,
    };
    std::fs::write(folder.join(RECORD), serde_json::to_vec_pretty(&record).map_err(io::Error::other)?)?;
    let mut copies: Vec<PathBuf> = std::fs::read_dir(&all)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    copies.sort();
    let surplus = copies.len().saturating_sub(MOST);
    for old in copies.into_iter().take(surplus) {
        tracing::warn!(folder = %old.display(), "removing the oldest copy of a refused attempt");
        std::fs::remove_dir_all(old)?;
    }
    Ok(folder)
}

/// Returns the copies below a worker's state directory, the oldest first. A folder without a readable record is left
/// out: a daemon that was killed left it, and a newer copy takes its place.
///
/// # Errors
/// If the folder cannot be read.
pub fn list(state_dir: &Path) -> Result<Vec<Kept>, KeptError> {
    let all = state_dir.join(FOLDER);
    let failed = |cause| KeptError::Disk { path: all.clone(), cause };
    let entries = match std::fs::read_dir(&all) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut copies = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let (id, folder) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let record = std::fs::read(folder.join(RECORD)).ok();
        let record = record.and_then(|record| serde_json::from_slice(&record).ok());
        copies.extend(record.map(|record| Kept { id, folder, record }));
    }
    copies.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(copies)
}

/// Returns the copy that `text` names: by its id, or by an unambiguous beginning of it.
///
/// # Errors
/// If there is not exactly one.
pub fn find(state_dir: &Path, text: &str) -> Result<Kept, KeptError> {
    let fits = list(state_dir)?.into_iter().filter(|copy| !text.is_empty() && copy.id.starts_with(text));
    let mut fits: Vec<Kept> = fits.collect();
    match fits.len() {
        0 => Err(KeptError::Unknown(text.to_owned())),
        1 => Ok(fits.remove(0)),
        _ => {
            let candidates = fits.iter().map(|copy| copy.id.as_str()).collect::<Vec<_>>().join(", ");
            Err(KeptError::Ambiguous { text: text.to_owned(), candidates })
        }
    }
}

impl Kept {
    /// Removes the copy for good.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn remove(&self) -> Result<(), KeptError> {
        std::fs::remove_dir_all(&self.folder).map_err(|cause| KeptError::Stays { path: self.folder.clone(), cause })
    }

    /// Returns the attempt, with the proof of its grant.
    pub(crate) fn claim(&self) -> Claim {
        let Record { stage, fence, proof, .. } = &self.record;
        Claim { attempt: AttemptId { stage: *stage, fence: *fence }, proof: proof.clone() }
    }

    /// Returns the path of a kept file.
    pub(crate) fn file(&self, kind: ArtifactKind) -> PathBuf {
        self.folder.join(kind.as_str())
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::ids::ContentHash;
    use pretext_shared::outcome::Score;
    use pretext_shared::trainer::Finished;

    use super::*;

    #[test]
    fn the_newest_copies_are_kept_with_their_files() {
        let state = tempfile::tempdir().expect("a folder");
        let model = state.path().join("model.bin");
        std::fs::write(&model, "weights").expect("writable");
        let stage = StageId(ContentHash::of(b"stage"));
        let score = Score { loss: 0.1, accuracy: 0.9, seen: 10 };
        let files = BTreeMap::from([(ArtifactKind::Model, model.clone())]);
        let finished = Finished { selected_epoch: 1, score, steps: 1, images: 4, seconds: 1.5, files };
        let ending = Ending::Finished { finished, next_sequence: 7 };
        let keep = |fence| {
            let claim = Claim { attempt: AttemptId { stage, fence: Fence(fence) }, proof: Proof(vec![1, 2]) };
            let (device, reason, ending) = ("cpu".to_owned(), "why".to_owned(), Some(ending.clone()));
            keep_now(state.path(), Copy { claim, device, reason, points: vec![], ending }).expect("kept")
        };
        let folders: Vec<PathBuf> = (0..=MOST as u64).map(keep).collect();
        // The worker removes its own file; the copy stays.
        std::fs::remove_file(model).expect("there");
        assert!(!folders[0].exists() && folders[1..].iter().all(|folder| folder.is_dir()));
        assert_eq!(std::fs::read_to_string(folders[1].join("model")).expect("a copy"), "weights");
        // A daemon that was killed may leave a folder without a record.
        std::fs::create_dir(state.path().join(FOLDER).join("half")).expect("writable");
        let copies = list(state.path()).expect("readable");
        assert_eq!(copies.iter().map(|copy| copy.folder.clone()).collect::<Vec<_>>(), folders[1..]);
        assert_eq!((copies[0].record.reason.as_str(), &copies[0].record.ending), ("why", &Some(ending)));
        assert_eq!(copies[0].claim().proof, Proof(vec![1, 2]));

        assert!(matches!(find(state.path(), ""), Err(KeptError::Unknown(_))));
        assert!(matches!(find(state.path(), &copies[0].id[..4]), Err(KeptError::Ambiguous { .. })));
        let found = find(state.path(), &copies[3].id).expect("there");
        found.remove().expect("writable");
        assert!(matches!(find(state.path(), &copies[3].id), Err(KeptError::Unknown(_))));
    }

    #[test]
    fn a_copy_of_an_earlier_version_is_listed() {
        let state = tempfile::tempdir().expect("a folder");
        let folder = state.path().join(FOLDER).join("old");
        std::fs::create_dir_all(&folder).expect("writable");
        let stage = StageId(ContentHash::of(b"stage"));
        let text = format!(r#"{{"stage":"{stage}","fence":7,"reason":"why","files":["model"],"points":[]}}"#);
        std::fs::write(folder.join(RECORD), text).expect("writable");
        let copies = list(state.path()).expect("readable");
        assert_eq!((copies[0].record.fence, &copies[0].record.ending), (Fence(7), &None));
    }
}
