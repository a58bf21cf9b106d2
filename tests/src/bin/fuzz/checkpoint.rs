//! Checkpoint and model files as a target. Their hashes would stop every change before the inner readers see it, so
//! most inputs are sealed: they get correct hashes.

use std::path::PathBuf;

use pretext_checkpoint::{Best, Bundle, Checkpoints, Position, Snapshot, Sums};
use pretext_shared::checkpoint::file_name;
use pretext_shared::ids::{ContentHash, StageId};
use pretext_shared::point::{Metric, Part, Point};

use super::target::{Fate, Target};

/// How an input becomes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The input is the file.
    Raw = 0,
    /// The input is the manifest, with a correct hash, before empty sections.
    Manifest = 1,
    /// The input is the position in a whole file.
    Position = 2,
    /// The input is the points in a whole file.
    Points = 3,
}

const FORMS: [Form; 4] = [Form::Raw, Form::Manifest, Form::Position, Form::Points];
const MAGIC: &[u8; 8] = b"PRETEXT1";

/// See the module.
pub(crate) struct Files {
    folder: tempfile::TempDir,
}

fn stage() -> StageId {
    StageId(ContentHash::of(b"stage"))
}

fn snapshot() -> Snapshot {
    let sums = Sums { loss: 0.1, correct: 7, seen: 11 };
    let best = Best { epoch: 1, loss: 0.25, correct: 1, seen: 2 };
    let position = Position { stage: stage(), step: 9, epoch: 2, step_in_epoch: 3, images: 9, sums, best: Some(best) };
    let point = Point { part: Part::Train, metric: Metric::Loss, epoch: 1, step: 2, value: 0.5 };
    Snapshot { position, model: vec![1; 40], best: Some(vec![2; 30]), optimizer: vec![3; 20], points: vec![point; 3] }
}

impl Files {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(file_name(9))
    }

    /// Returns the bytes of a saved checkpoint.
    pub(crate) fn whole(&self) -> Vec<u8> {
        let path = Checkpoints::new(self.folder.path(), stage(), 2).save(snapshot()).expect("saved");
        std::fs::read(path).expect("readable")
    }

    /// Makes a file of `content` in `form`.
    fn write(&self, form: Form, content: &[u8]) -> Result<(), String> {
        let sections = |name: &str| {
            let snapshot = snapshot();
            let json = |value: Result<Vec<u8>, serde_json::Error>| value.expect("plain data");
            let (position, points) =
                (json(serde_json::to_vec(&snapshot.position)), json(serde_json::to_vec(&snapshot.points)));
            let best = snapshot.best.unwrap_or_default();
            let all = [
                ("position", position),
                ("model", snapshot.model),
                ("best", best),
                ("optimizer", snapshot.optimizer),
                ("points", points),
            ];
            all.map(|(found, bytes)| (found.to_owned(), if found == name { content.to_vec() } else { bytes })).to_vec()
        };
        let bundle = |name| Bundle { kind: "checkpoint".to_owned(), sections: sections(name) };
        let written = match form {
            Form::Raw => std::fs::write(self.path(), content),
            Form::Manifest => {
                let length = content.len() as u32;
                let hash = *blake3::hash(content).as_bytes();
                std::fs::write(self.path(), [MAGIC.as_slice(), &length.to_le_bytes(), &hash, content].concat())
            }
            Form::Position => return bundle("position").write(&self.path()).map_err(|error| error.to_string()),
            Form::Points => return bundle("points").write(&self.path()).map_err(|error| error.to_string()),
        };
        written.map_err(|error| error.to_string())
    }

    /// Reads a file of `content` in `form`, as a resume reads a checkpoint and a child stage reads a model.
    pub(crate) fn read(&self, form: Form, content: &[u8]) -> Result<Fate, String> {
        self.write(form, content)?;
        if let Err(error) = Bundle::read(&self.path(), "checkpoint")
            && error.to_string().is_empty()
        {
            return Err("refused without a reason".to_owned());
        }
        match Checkpoints::new(self.folder.path(), stage(), 2).newest() {
            Ok(Some(_)) => Ok(Fate::Taken),
            Ok(None) => Ok(Fate::Refused),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Target for Files {
    fn name(&self) -> &'static str {
        "checkpoint files and their manifests"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let whole = self.whole();
        let length = u32::from_le_bytes(whole[8..12].try_into().expect("four bytes")) as usize;
        let manifest = whole[44..44 + length].to_vec();
        let position = serde_json::to_vec(&snapshot().position).expect("plain data");
        let points = serde_json::to_vec(&snapshot().points).expect("plain data");
        let forms =
            [(Form::Raw, whole), (Form::Manifest, manifest), (Form::Position, position), (Form::Points, points)];
        forms.into_iter().map(|(form, content)| [vec![form as u8], content].concat()).collect()
    }

    fn words(&self) -> Vec<Vec<u8>> {
        let words = [
            "\"bytes\":",
            "\"sections\":[",
            "{",
            "}",
            "[",
            "]",
            "null",
            "1e999",
            "-1",
            "\\u0000",
            "18446744073709551615",
        ];
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    fn bound(&self) -> usize {
        16 << 20
    }

    fn feed(&mut self, input: &[u8]) -> Result<Fate, String> {
        let (form, content) = input.split_first().map_or((0, input), |(form, content)| (*form, content));
        self.read(FORMS[usize::from(form) % FORMS.len()], content)
    }
}
