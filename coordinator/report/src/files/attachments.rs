//! Artifacts that go into the folder as they are: sample lists and test predictions.

use std::collections::BTreeMap;

use pretext_shared::ids::{ArtifactId, ContentHash};
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::stage::StageSpec;
use pretext_shared::sweep::{CellKey, SweepView};
use pretext_shared::text;
use serde::Serialize;

use super::folder::{Folder, cell_stem};
use crate::numbers::Artifacts;

/// The test predictions of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PredictionsFile {
    /// Content hash of the predictions.
    pub artifact: ArtifactId,
    /// Path below the report folder; `None` if the artifact is not stored any more.
    pub file: Option<String>,
}

/// Adds `predictions/<cell>.csv` for every cell that has them, and returns their paths.
pub fn add_predictions(
    view: &SweepView,
    artifacts: &Artifacts<'_>,
    folder: &mut Folder,
) -> BTreeMap<CellKey, PredictionsFile> {
    let mut files = BTreeMap::new();
    for cell in &view.cells {
        let Some(artifact) = view.result(cell.test).and_then(|test| test.artifacts.get(&ArtifactKind::Predictions))
        else {
            continue;
        };
        let file = verified(artifacts, artifact)
            .map(|content| folder.add(&format!("predictions/{}.csv", cell_stem(&cell.key)), content));
        files.insert(cell.key.clone(), PredictionsFile { artifact: *artifact, file });
    }
    files
}

/// Adds `splits/`: one file per distinct sample list, named after the first stage that used it, and
/// `splits/index.csv` with a row for every stage that has a list.
pub fn add_splits(view: &SweepView, artifacts: &Artifacts<'_>, folder: &mut Folder) {
    let mut written: BTreeMap<ArtifactId, Option<String>> = BTreeMap::new();
    let mut index = String::from("stage,kind,seed,fraction,train_images,validation_images,hash,file\n");
    for (id, stage) in &view.stages {
        let Some(artifact) = view.result(*id).and_then(|result| result.artifacts.get(&ArtifactKind::Split)) else {
            continue;
        };
        let split = match &stage.stage.spec {
            StageSpec::Pretext(spec) => spec.split,
            StageSpec::Downstream(spec) => spec.split,
            StageSpec::Test(_) => continue,
        };
        let kind = stage.stage.spec.kind().as_str();
        let file = written.entry(*artifact).or_insert_with(|| {
            let content = verified(artifacts, artifact)?;
            Some(folder.add(&format!("splits/{}-{kind}.csv", id.short()), content))
        });
        let file = file.as_deref().and_then(|path| path.strip_prefix("splits/")).unwrap_or_default();
        index.push_str(&format!(
            "{id},{kind},{},{},{},{},{artifact},{}\n",
            split.seed,
            split.fraction,
            stage.cost.train_images,
            stage.cost.validation_images,
            text::csv(file)
        ));
    }
    if !written.is_empty() {
        folder.add("splits/index.csv", index);
    }
}

/// Returns the artifact's content, if it is stored and has the hash that names it.
fn verified(artifacts: &Artifacts<'_>, id: &ArtifactId) -> Option<Vec<u8>> {
    artifacts(id).filter(|content| ContentHash::of(content) == id.0)
}
