//! `coordinator backup` and `coordinator restore`.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use pretext_store::backup::{self, BackupError};
use pretext_store::{RedbStore, StoreError};
use serde::Serialize;

use super::console::{Console, Show};
use super::error::CliError;
use crate::remote::{Remote, connect};
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to write the copy to
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Copy the embedded store in this state directory, which no running coordinator may use
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// A file that `coordinator backup` wrote
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The new state directory
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: PathBuf,
}

#[derive(Debug, Serialize)]
struct Made {
    #[serde(serialize_with = "crate::values::lossy")]
    file: PathBuf,
    changes: u64,
}

impl Show for Made {
    fn text(&self) -> String {
        format!(
            "{}: {} changes\nthe file does not contain artifacts: now copy the folder `artifacts` of the state directory, or the storage that --artifacts names",
            self.file.display(),
            self.changes
        )
    }
}

#[derive(Debug, Serialize)]
struct Restored {
    #[serde(serialize_with = "crate::values::lossy")]
    state_dir: PathBuf,
    changes: u64,
}

impl Show for Restored {
    fn text(&self) -> String {
        format!(
            "{}: {} changes; before you start a coordinator here, put the copy of the artifacts into {}, or name their place with \
             --artifacts",
            self.state_dir.display(),
            self.changes,
            self.state_dir.join("artifacts").display()
        )
    }
}

fn disk<'a>(action: &'a str, path: &'a Path) -> impl Fn(std::io::Error) -> CliError + 'a {
    move |cause| CliError::environment(format!("cannot {action} {}: {cause}", path.display()))
}

fn failed(error: BackupError) -> CliError {
    match error {
        BackupError::Store(_) | BackupError::Io(_) => CliError::environment(error.to_string()),
        BackupError::Damaged(_) | BackupError::Format(_) | BackupError::NotEmpty => CliError::input(error.to_string()),
    }
}

/// Opens the embedded store of a state directory that no coordinator uses.
pub(super) fn open_store(folder: &Path) -> Result<RedbStore, CliError> {
    let path = folder.join("state.redb");
    if !path.is_file() {
        return Err(CliError::input(format!("there is no store in {}", folder.display())));
    }
    RedbStore::open(&path).map_err(|error| {
        let served = matches!(error, StoreError::InUse { .. });
        let help = served
            .then(|| "a coordinator uses this store: name it with --coordinator URL instead of --state-dir".to_owned());
        CliError::Environment { message: error.to_string(), help }
    })
}

/// Copies the store into a file, from a running coordinator or from its folder. The file appears complete or not at
/// all.
pub(super) async fn backup(args: BackupArgs, console: &Console) -> Result<Verdict, CliError> {
    let folder = match args.file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // A temporary file beside its place; removed if this function ends early.
    let temporary = tempfile::NamedTempFile::new_in(folder).map_err(disk("write to", folder))?;
    let mut out = BufWriter::new(temporary.as_file());
    match &args.state_dir {
        Some(folder) => {
            backup::write(&open_store(folder)?, &mut out).map_err(failed)?;
        }
        None => {
            let write = |piece: &[u8]| {
                let failed = |cause| CliError::environment(format!("cannot write the backup: {cause}"));
                out.write_all(piece).map_err(failed)
            };
            connect(&args.remote).await?.backup(write).await?;
        }
    }
    out.flush().map_err(disk("write", &args.file))?;
    drop(out);
    temporary.as_file().sync_all().map_err(disk("sync", &args.file))?;
    let changes =
        backup::check(&mut BufReader::new(temporary.reopen().map_err(disk("read", &args.file))?)).map_err(failed)?;
    temporary.persist(&args.file).map_err(|error| disk("write", &args.file)(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk("sync", folder))?;
    console.show(&Made { file: args.file, changes })?;
    Ok(Verdict::Good)
}

/// Makes a state directory from a backup. Its store appears only when it is complete.
pub(super) async fn restore(args: RestoreArgs, console: &Console) -> Result<Verdict, CliError> {
    let path = args.state_dir.join("state.redb");
    // Check first: a file that is not a backup leaves nothing behind.
    let open = || File::open(&args.file).map(BufReader::new);
    backup::check(&mut open().map_err(disk("open", &args.file))?).map_err(failed)?;
    fs::create_dir_all(&args.state_dir).map_err(disk("make", &args.state_dir))?;
    if path.exists() {
        return Err(failed(BackupError::NotEmpty));
    }
    let incoming = args.state_dir.join("state.redb.incoming");
    if let Err(cause) = fs::remove_file(&incoming)
        && cause.kind() != std::io::ErrorKind::NotFound
    {
        return Err(disk("remove", &incoming)(cause));
    }
    let store = RedbStore::open(&incoming).map_err(|error| CliError::environment(error.to_string()))?;
    let changes = backup::restore(&store, open).map_err(failed)?;
    drop(store);
    // Fails if another process has made a store meanwhile.
    fs::hard_link(&incoming, &path).map_err(disk("make", &path))?;
    fs::remove_file(&incoming).map_err(disk("remove", &incoming))?;
    File::open(&args.state_dir).and_then(|folder| folder.sync_all()).map_err(disk("sync", &args.state_dir))?;
    console.show(&Restored { state_dir: args.state_dir, changes })?;
    Ok(Verdict::Good)
}
