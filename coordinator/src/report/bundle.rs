//! `coordinator report --bundle`: a sweep with everything that belongs to it, as one zip file.
//!
//! The file holds one folder. `SHA256SUMS` has the hash of every other file in the form that `sha256sum -c` checks, and
//! `ro-crate-metadata.json` describes the files for archives.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::{BufWriter, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use pretext_report::files::ro_crate::{self, Part};
use pretext_shared::ids::ArtifactId;
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::sweep::SweepView;
use ring::digest::{SHA256, digest};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Made, Source};
use crate::error::CliError;

/// Returns the models of all stages of a sweep.
pub(super) fn models(view: &SweepView) -> BTreeSet<ArtifactId> {
    let results = view.stages.keys().filter_map(|id| view.result(*id));
    results.filter_map(|result| result.artifacts.get(&ArtifactKind::Model)).copied().collect()
}

/// Returns the folder that a bundle belongs to.
pub(super) fn folder(file: &Path) -> Result<&Path, CliError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if folder.is_dir() {
        Ok(folder)
    } else {
        Err(CliError::input(format!("cannot write {}: there is no folder {}", file.display(), folder.display())))
    }
}

/// Writes the bundle of a report, with `models`, to `file`. The file appears complete or not at all.
pub(super) async fn write(
    made: &Made,
    source: &Source,
    models: BTreeSet<ArtifactId>,
    file: &Path,
) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::environment(format!("cannot write {}: {error}", file.display()));
    let folder = folder(file)?;
    // A bundle is for others: it has the rights of any new file, and not the few of a temporary one.
    let rights = Permissions::from_mode(0o666);
    let temporary = tempfile::Builder::new().permissions(rights).tempfile_in(folder).map_err(failed)?;
    let mut bundle = Bundle {
        zip: ZipWriter::new(BufWriter::new(temporary.as_file())),
        folder: made.view.id.to_string(),
        parts: Vec::new(),
    };
    bundle.add(ro_crate::SWEEP, made.view.provenance.spec.as_bytes()).map_err(failed)?;
    for (path, content) in made.folder.iter() {
        bundle.add(path, content).map_err(failed)?;
    }
    for model in models {
        let Some(content) = source.artifact(model).await? else {
            return Err(CliError::Environment {
                message: format!("the model {} is not stored any more", model.short()),
                help: Some("make the bundle without --models".to_owned()),
            });
        };
        bundle.add(&format!("models/{model}"), &content).map_err(failed)?;
    }
    bundle.finish(&made.view, SystemTime::now()).map_err(failed)?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}

struct Bundle<W: Write + Seek> {
    zip: ZipWriter<W>,
    folder: String,
    parts: Vec<Part>,
}

impl<W: Write + Seek> Bundle<W> {
    fn add(&mut self, path: &str, content: &[u8]) -> std::io::Result<()> {
        // Weights do not become smaller.
        let method = if path.starts_with("models/") { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .unix_permissions(0o644)
            .large_file(content.len() as u64 >= u64::from(u32::MAX));
        self.zip.start_file(format!("{}/{path}", self.folder), options)?;
        self.zip.write_all(content)?;
        let hash = digest(&SHA256, content);
        let sha256 = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        self.parts.push(Part { path: path.to_owned(), bytes: content.len() as u64, sha256 });
        Ok(())
    }

    /// Adds the description and the hashes, and ends the file.
    fn finish(mut self, view: &SweepView, now: SystemTime) -> std::io::Result<()> {
        let date = humantime::format_rfc3339_seconds(now).to_string();
        let metadata = ro_crate::metadata(view, &self.parts, &date);
        self.add(ro_crate::NAME, metadata.as_bytes())?;
        let sums: String = self.parts.iter().map(|part| format!("{}  {}\n", part.sha256, part.path)).collect();
        self.add("SHA256SUMS", sums.as_bytes())?;
        self.zip.finish()?.flush()
    }
}
