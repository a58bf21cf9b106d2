//! Copies of what the coordinator refused as invalid. They stay in the worker's state directory until a person has looked
//! at them: a defect destroys no work. The newest copies are kept, within a bound.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use pretext_shared::ids::AttemptId;
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::point::Point;
use serde::Serialize;

use crate::spool::Batch;

/// The folder of the copies, below the state directory.
const FOLDER: &str = "refused";
/// Number of copies that are kept.
const MOST: usize = 16;

/// A refused attempt.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) attempt: AttemptId,
    /// The coordinator's reason.
    pub(crate) reason: String,
    /// Points that the coordinator has not acknowledged.
    pub(crate) points: Vec<Batch>,
}

/// The same as a file.
#[derive(Serialize)]
struct Record<'a> {
    stage: String,
    fence: u64,
    reason: &'a str,
    files: Vec<&'a str>,
    points: Vec<&'a Point>,
}

/// Keeps `copy` with links to `files`, removes the oldest copies beyond the bound, and returns the copy's folder.
pub(crate) async fn keep(state_dir: &Path, copy: Copy, files: &BTreeMap<ArtifactKind, PathBuf>) -> io::Result<PathBuf> {
    let (state_dir, files) = (state_dir.to_owned(), files.clone());
    let kept = tokio::task::spawn_blocking(move || keep_now(&state_dir, &copy, &files));
    kept.await.map_err(io::Error::other)?
}

fn keep_now(state_dir: &Path, copy: &Copy, files: &BTreeMap<ArtifactKind, PathBuf>) -> io::Result<PathBuf> {
    let all = state_dir.join(FOLDER);
    // Names sort by time: the oldest copy goes first.
    let name = format!("{}-{}-{}", uuid::Uuid::now_v7(), copy.attempt.stage.short(), copy.attempt.fence);
    let folder = all.join(name);
    std::fs::create_dir_all(&folder)?;
    for (kind, path) in files {
        let target = folder.join(kind.as_str());
        // A link costs no room. Across file systems the content is copied.
        if std::fs::hard_link(path, &target).is_err() {
            std::fs::copy(path, &target)?;
        }
    }
    let record = Record {
        stage: copy.attempt.stage.to_string(),
        fence: copy.attempt.fence.0,
        reason: &copy.reason,
        files: files.keys().map(|kind| kind.as_str()).collect(),
        points: copy.points.iter().flat_map(|batch| &batch.points).collect(),
    };
    std::fs::write(folder.join("refusal.json"), serde_json::to_vec_pretty(&record).map_err(io::Error::other)?)?;
    let mut copies: Vec<PathBuf> = std::fs::read_dir(&all)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    copies.sort();
    let surplus = copies.len().saturating_sub(MOST);
    for old in copies.into_iter().take(surplus) {
        tracing::warn!(folder = %old.display(), "removing the oldest copy of a refused attempt");
        std::fs::remove_dir_all(old)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use pretext_shared::ids::{ContentHash, Fence, StageId};

    use super::*;

    #[test]
    fn the_newest_copies_are_kept_with_their_files() {
        let state = tempfile::tempdir().expect("a folder");
        let model = state.path().join("model.bin");
        std::fs::write(&model, "weights").expect("writable");
        let files = BTreeMap::from([(ArtifactKind::Model, model.clone())]);
        let stage = StageId(ContentHash::of(b"stage"));
        let keep = |fence| {
            let copy =
                Copy { attempt: AttemptId { stage, fence: Fence(fence) }, reason: "why".to_owned(), points: vec![] };
            keep_now(state.path(), &copy, &files).expect("kept")
        };
        let folders: Vec<PathBuf> = (0..=MOST as u64).map(keep).collect();
        // The worker removes its own file; the copy stays.
        std::fs::remove_file(model).expect("there");
        assert!(!folders[0].exists() && folders[1..].iter().all(|folder| folder.is_dir()));
        assert_eq!(std::fs::read_to_string(folders[1].join("model")).expect("a copy"), "weights");
        assert!(std::fs::read_to_string(folders[1].join("refusal.json")).expect("a record").contains("why"));
    }
}
