//! Writes a report folder: the only file of the report that touches a disk.
//!
//! Files are first written beside their places and then renamed one by one, so no reader sees half a
//! file. `MANIFEST` lists what the report wrote: files of an older report that the new one does not
//! have are removed, files that somebody else put there are left alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::folder::Folder;

/// The list of files that the report wrote, one path a line.
const MANIFEST: &str = "MANIFEST";

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The target is taken by something else.
    #[error("{} is not a folder: name another place for the report with --out", path.display())]
    NotAFolder {
        /// The target.
        path: PathBuf,
    },
    /// The target holds files that no report wrote.
    #[error("{} holds files that a report would overwrite and that no report wrote (it has no MANIFEST): name another folder with --out", path.display())]
    NotAReport {
        /// The target.
        path: PathBuf,
    },
    /// There is no room.
    #[error("the disk is full: {} could not be written (the report needs {bytes} bytes). Free some space, or write it elsewhere with --out", path.display())]
    DiskFull {
        /// The file that did not fit.
        path: PathBuf,
        /// Size of the whole report.
        bytes: u64,
    },
    /// Anything else that the system refused.
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Writes `folder` to `dir` (made if missing) over any older report there, and returns the paths of
/// its files.
pub fn write(folder: &Folder, dir: &Path) -> Result<Vec<PathBuf>, WriteError> {
    let bytes = folder.iter().map(|(_, content)| content.len() as u64).sum();
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => WriteError::DiskFull { path, bytes },
            _ => WriteError::Io { action, path, source },
        }
    };
    if dir.exists() && !dir.is_dir() {
        return Err(WriteError::NotAFolder { path: dir.to_owned() });
    }
    fs::create_dir_all(dir).map_err(failed("make", dir))?;

    let manifest = dir.join(MANIFEST);
    let old = match fs::read_to_string(&manifest) {
        Ok(text) => listed(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if folder.iter().any(|(path, _)| dir.join(path).exists()) {
                return Err(WriteError::NotAReport { path: dir.to_owned() });
            }
            BTreeSet::new()
        }
        Err(error) => return Err(failed("read", &manifest)(error)),
    };
    let new: BTreeSet<String> = folder.iter().map(|(path, _)| path.to_owned()).collect();

    // Inside the target and not beside it: a target that is a mount point of its own has no siblings
    // that a file can be renamed from.
    let staging = Staging::make(dir).map_err(failed("make", &dir.join(Staging::name())))?;
    for (path, content) in folder.iter() {
        let staged = staging.0.join(path);
        make_parent(&staged).map_err(failed("make the folder of", &staged))?;
        fs::write(&staged, content).map_err(failed("write", &dir.join(path)))?;
    }
    let save_manifest = |paths: &mut dyn Iterator<Item = &String>| {
        let staged = staging.0.join(MANIFEST);
        fs::write(&staged, paths.fold(String::new(), |text, path| text + path + "\n"))?;
        fs::rename(&staged, &manifest)
    };
    // Until all files are in place the list names old and new ones. If the report is interrupted here, the next one
    // knows every file that it left behind.
    save_manifest(&mut old.union(&new)).map_err(failed("write", &manifest))?;
    for path in &new {
        let target = dir.join(path);
        make_parent(&target).map_err(failed("make the folder of", &target))?;
        fs::rename(staging.0.join(path), &target).map_err(failed("write", &target))?;
    }
    for path in old.difference(&new) {
        let stale = dir.join(path);
        match fs::remove_file(&stale) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove the old", &stale)(error)),
            _ => {}
        }
        // A folder that still holds something stays: remove_dir refuses it.
        if let Some(parent) = stale.parent().filter(|parent| *parent != dir) {
            let _ = fs::remove_dir(parent);
        }
    }
    save_manifest(&mut new.iter()).map_err(failed("write", &manifest))?;
    Ok(new.iter().map(|path| dir.join(path)).collect())
}

/// Returns the paths that a manifest lists. Other lines are ignored: nothing outside the folder is ever removed.
fn listed(manifest: &str) -> BTreeSet<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let component = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed);
    manifest.lines().filter(|path| path.split('/').all(component)).map(str::to_owned).collect()
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// The folder that new files wait in. It goes when the report is written or has failed.
struct Staging(PathBuf);

impl Staging {
    fn name() -> String {
        format!(".partial-{}", std::process::id())
    }

    fn make(dir: &Path) -> io::Result<Self> {
        let path = dir.join(Self::name());
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // A staging folder that stays is unused and does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> Folder {
        let mut folder = Folder::default();
        for (path, content) in files {
            folder.add(path, *content);
        }
        folder
    }

    fn files_below(dir: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(dir).expect("the folder is there") {
            let path = entry.expect("the folder can be listed").path();
            let name = path.file_name().expect("entries have names").to_string_lossy().into_owned();
            if path.is_dir() {
                found.extend(files_below(&path).into_iter().map(|below| format!("{name}/{below}")));
                found.insert(name + "/");
            } else {
                found.insert(name);
            }
        }
        found
    }

    fn set(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn a_new_report_leaves_no_stale_files_and_touches_nothing_else() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let dir = parent.path().join("a/report");
        write(&folder(&[("r.md", "1"), ("curves/a.svg", "a"), ("splits/s.csv", "s")]), &dir).expect("the first report");
        fs::write(dir.join("notes.txt"), "mine").expect("the folder is writable");
        fs::write(parent.path().join("a/precious"), "mine").expect("the folder is writable");
        let listed = fs::read_to_string(dir.join(MANIFEST)).expect("there is a manifest");
        fs::write(dir.join(MANIFEST), listed + "../precious\nnotes.txt/../notes.txt\n").expect("writable");

        let paths = write(&folder(&[("r.md", "2"), ("curves/b.svg", "b")]), &dir).expect("the second report");
        assert_eq!(paths, [dir.join("curves/b.svg"), dir.join("r.md")]);
        assert_eq!(files_below(&dir), set(&["MANIFEST", "curves/", "curves/b.svg", "notes.txt", "r.md"]));
        assert_eq!(fs::read_to_string(dir.join("r.md")).expect("written"), "2");
        assert_eq!(fs::read_to_string(dir.join(MANIFEST)).expect("written"), "curves/b.svg\nr.md\n");
        assert!(parent.path().join("a/precious").exists());
    }

    #[test]
    fn errors_name_the_path_and_what_to_do() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let file = parent.path().join("file");
        fs::write(&file, "").expect("the folder is writable");
        let error = write(&folder(&[("r.md", "1")]), &file).expect_err("a file is no folder").to_string();
        assert!(error.contains("file is not a folder") && error.contains("--out"), "{error}");

        let dir = parent.path().join("report");
        fs::create_dir_all(dir.join("r.md/in the way")).expect("the folder is writable");
        let error = write(&folder(&[("r.md", "1")]), &dir).expect_err("somebody's file").to_string();
        assert!(error.contains("no report wrote") && error.contains("--out"), "{error}");
        assert_eq!(files_below(&dir), set(&["r.md/", "r.md/in the way/"]), "nothing was touched");
        fs::write(dir.join(MANIFEST), "r.md\n").expect("the folder is writable");
        let error =
            write(&folder(&[("r.md", "1")]), &dir).expect_err("a folder stands where the file goes").to_string();
        assert!(error.contains("could not write") && error.contains("report/r.md"), "{error}");
        assert_eq!(files_below(&dir), set(&["MANIFEST", "r.md/", "r.md/in the way/"]), "no partial files stay");

        let full = WriteError::DiskFull { path: "out/points.csv".into(), bytes: 12 }.to_string();
        assert!(full.contains("out/points.csv") && full.contains("12 bytes"), "{full}");
    }
}
