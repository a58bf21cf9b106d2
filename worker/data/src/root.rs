//! The data root: a folder that is opened once and that no path can leave. The operating system resolves every name
//! below it from the folder's handle (`openat2` with `RESOLVE_BENEATH` on Linux). A `..`, an absolute path or a link
//! that leads out is refused, even a link that replaces a folder during the lookup.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, FileType, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};

/// Why a path below a root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The path as written leaves the root.
    #[error("`{path}` is refused: write a path below the data root, without a leading `/` and without `..`")]
    Outside {
        /// The path as written.
        path: String,
    },
    /// The path is or contains a link that leaves the root.
    #[error(
        "the link {} leads out of the data root {}: move its target into the data root (a mount, or \
         the files), or set the worker's `--data-root` to the folder of the data; a link within the root must be relative",
        link.display(), root.display()
    )]
    LeadsOut {
        /// The first part of the path that leaves the root.
        link: PathBuf,
        /// The root.
        root: PathBuf,
    },
    /// The path is a link whose target does not exist.
    #[error("the link {} leads to `{}`, which does not exist: remove the link, or restore its target", link.display(), target.display())]
    Dangling {
        /// The link.
        link: PathBuf,
        /// The target as the link has it.
        target: PathBuf,
    },
    /// The path is not a file with content.
    #[error("{} is not a file but a pipe, a device or a folder: move it out of the data", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// The kind of a name's target, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// Anything else.
    File,
}

/// The identity of a folder, whatever path led to it.
pub type Identity = (u64, u64);

/// A name in a folder.
#[derive(Debug)]
pub struct Child {
    /// The name; `None` if it is not UTF-8.
    pub name: Option<String>,
    /// The name as messages show it.
    pub shown: PathBuf,
    /// The kind, if the folder's listing states it. A link is looked up with [`Folder::kind`].
    kind: Option<Kind>,
}

/// A folder below a root, or the root itself. Copies share the handle.
#[derive(Clone)]
pub struct Folder {
    root: Arc<Root>,
    /// The path below the root.
    path: PathBuf,
}

struct Root {
    handle: Dir,
    path: PathBuf,
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shown("").display())
    }
}

/// Returns `path` as a path below a root, if it is written as one. Opening it checks that no link on the way leads out.
fn below(path: &str) -> Result<&Path, RootError> {
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if inside { Ok(Path::new(path)) } else { Err(RootError::Outside { path: path.to_owned() }) }
}

/// Returns whether the error is the library's own "the path left the handle", which no system call returns.
fn left_the_handle(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

impl Folder {
    /// Opens the folder at `path` as a root; `path` itself may be a link.
    pub fn root(path: &Path) -> Result<Self, RootError> {
        let handle = Dir::open_ambient_dir(path, ambient_authority())
            .map_err(|source| RootError::Io { path: path.to_owned(), source })?;
        Ok(Self { root: Arc::new(Root { handle, path: path.to_owned() }), path: PathBuf::new() })
    }

    /// Returns the folder `path` below this one, without a look at the disk.
    pub fn join(&self, path: &str) -> Result<Self, RootError> {
        Ok(Self { root: Arc::clone(&self.root), path: self.path.join(below(path)?) })
    }

    /// Returns how messages show `path` in this folder.
    pub fn shown(&self, path: &str) -> PathBuf {
        let folder = if self.path == Path::new(".") { self.root.path.clone() } else { self.root.path.join(&self.path) };
        if path.is_empty() { folder } else { folder.join(path) }
    }

    /// Returns the path of this folder below the root, with `/`; empty for the root itself.
    pub fn below_root(&self) -> String {
        let parts = self.path.components().filter(|part| matches!(part, Component::Normal(_)));
        let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
        parts.join("/")
    }

    /// Returns the kind of `path`, or `None` if there is nothing.
    pub fn kind(&self, path: &str) -> Result<Option<Kind>, RootError> {
        match self.look(path, |handle, path| handle.metadata(path)) {
            Ok(metadata) => Ok(Some(if metadata.is_dir() { Kind::Folder } else { Kind::File })),
            Err(RootError::Io { source, .. })
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns whether there is a file, or a link that leads out; the caller that reads such a link gets the error.
    pub fn has_file(&self, path: &str) -> bool {
        self.has(path, Kind::File)
    }

    /// Returns whether there is a folder, or a link that leads out; the caller that reads such a link gets the error.
    pub fn has_folder(&self, path: &str) -> bool {
        self.has(path, Kind::Folder)
    }

    fn has(&self, path: &str, wanted: Kind) -> bool {
        match self.kind(path) {
            Ok(kind) => kind == Some(wanted),
            Err(error) => matches!(error, RootError::LeadsOut { .. }),
        }
    }

    /// Opens the file `path`. A pipe or a device is refused without waiting for it.
    pub fn open(&self, path: &str) -> Result<File, RootError> {
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
        let file = self.look(path, |handle, path| handle.open_with(path, &options)).map(cap_std::fs::File::into_std)?;
        let failed = |source| RootError::Io { path: self.shown(path), source };
        let is_file = file.metadata().map_err(failed)?.is_file();
        if is_file { Ok(file) } else { Err(RootError::NoFile { path: self.shown(path) }) }
    }

    /// Returns the content of the file `path`.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, RootError> {
        let mut file = self.open(path)?;
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.read_to_end(&mut content).map_err(|source| RootError::Io { path: self.shown(path), source })?;
        Ok(content)
    }

    /// Returns the names in the folder `path`, in no particular order.
    pub fn children(&self, path: &str) -> Result<Vec<Child>, RootError> {
        let failed = |source| RootError::Io { path: self.shown(path), source };
        let mut children = Vec::new();
        for child in self.look(path, |handle, path| handle.read_dir(path))? {
            let child = child.map_err(failed)?;
            let kind = child.file_type().ok().and_then(stated);
            let name = child.file_name();
            children.push(Child { shown: self.shown(path).join(&name), name: name.into_string().ok(), kind });
        }
        Ok(children)
    }

    /// Returns the error for `path`, which is not there: a link without a target is called one.
    pub fn missing(&self, path: &str) -> RootError {
        let target = self.look(path, |handle, path| handle.read_link_contents(path));
        match target {
            Ok(target) => RootError::Dangling { link: self.shown(path), target },
            Err(_) => RootError::Io { path: self.shown(path), source: io::Error::from(io::ErrorKind::NotFound) },
        }
    }

    /// Returns the identity of the folder `path`.
    pub fn identity(&self, path: &str) -> Result<Identity, RootError> {
        let metadata: Metadata = self.look(path, |handle, path| handle.metadata(path))?;
        Ok((metadata.dev(), metadata.ino()))
    }

    /// Returns the canonical path of the root: a name for it, which is never opened.
    pub fn canonical(&self) -> Result<PathBuf, RootError> {
        let failed = |source| RootError::Io { path: self.root.path.clone(), source };
        Ok(self.root.path.canonicalize().map_err(failed)?.join(&self.path))
    }

    fn look<T>(&self, path: &str, at: impl Fn(&Dir, &Path) -> io::Result<T>) -> Result<T, RootError> {
        let path = self.path.join(below(path)?);
        // The root itself has no name below its handle.
        let path = if path.as_os_str().is_empty() { PathBuf::from(".") } else { path };
        let root = &self.root;
        at(&root.handle, &path).map_err(|source| {
            if left_the_handle(&source) {
                RootError::LeadsOut { link: root.path.join(root.first_outside(&path)), root: root.path.clone() }
            } else {
                RootError::Io { path: root.path.join(path.strip_prefix(".").unwrap_or(&path)), source }
            }
        })
    }
}

impl Root {
    /// Returns the shortest beginning of `path` that leads out, or all of it if that has changed meanwhile.
    fn first_outside(&self, path: &Path) -> PathBuf {
        let mut beginning = PathBuf::new();
        for part in path.components() {
            beginning.push(part);
            if self.handle.metadata(&beginning).is_err_and(|error| left_the_handle(&error)) {
                return beginning;
            }
        }
        path.to_owned()
    }
}

/// Returns the kind that a folder's listing states; `None` for links.
fn stated(kind: FileType) -> Option<Kind> {
    if kind.is_dir() {
        Some(Kind::Folder)
    } else if kind.is_file() {
        Some(Kind::File)
    } else {
        None
    }
}

impl Child {
    /// Returns the kind of the child, whose path in `folder` is `path`. A broken link is an error that names it.
    pub fn kind(&self, folder: &Folder, path: &str) -> Result<Kind, RootError> {
        match self.kind {
            Some(kind) => Ok(kind),
            None => folder.kind(path)?.ok_or_else(|| folder.missing(path)),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A root with a file in a folder, and a file of the same name outside.
    fn scene() -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().expect("a temporary folder");
        for (folder, content) in [("root/set", "ours"), ("outside", "secret")] {
            fs::create_dir_all(place.path().join(folder)).expect("a folder");
            fs::write(place.path().join(folder).join("a"), content).expect("a file");
        }
        let root = Folder::root(&place.path().join("root")).expect("a root");
        (place, root)
    }

    #[test]
    fn no_path_leads_out() {
        let (place, root) = scene();
        let at = |name: &str| place.path().join("root").join(name);
        assert_eq!(root.read("set/./a").expect("inside"), b"ours");
        for path in ["../outside/a", "set/../../outside/a", "/etc/passwd"] {
            assert!(matches!(root.read(path), Err(RootError::Outside { .. })), "{path}");
            assert!(root.join(path).is_err(), "{path}");
        }
        symlink("../../outside", at("set/relative")).expect("a link");
        symlink(place.path().join("outside"), at("absolute")).expect("a link");
        symlink("../outside/a", at("file")).expect("a link");
        symlink("absolute", at("chain")).expect("a link");
        for (path, link) in [
            ("set/relative/a", "root/set/relative"),
            ("absolute/a", "root/absolute"),
            ("file", "root/file"),
            ("chain/a", "root/chain"),
        ] {
            let error = root.read(path).expect_err("outside");
            let link = place.path().join(link).display().to_string();
            assert!(matches!(error, RootError::LeadsOut { .. }), "{path}: {error}");
            assert!(error.to_string().starts_with(&format!("the link {link} leads out")), "{path}: {error}");
            assert!(root.kind(path).is_err() && root.has_file(path), "it exists, so that reading it names it");
        }
        assert!(root.children("absolute").is_err());
        // Links within the root are followed, and the root itself may be a link.
        symlink("../set/a", at("set/inner")).expect("a link");
        assert_eq!(root.read("set/inner").expect("inside"), b"ours");
        symlink(at(""), place.path().join("data")).expect("a link");
        let linked = Folder::root(&place.path().join("data")).expect("a root");
        assert_eq!(linked.read("set/a").expect("inside"), b"ours");
        assert!(matches!(linked.kind("nothing"), Ok(None)));
    }

    #[test]
    fn a_link_to_nothing_is_called_one() {
        let (place, root) = scene();
        symlink("nowhere.png", place.path().join("root/set/b.png")).expect("a link");
        let children = root.children("set").expect("a folder");
        let kinds = children.iter().map(|child| {
            let name = child.name.as_deref().expect("a text name");
            child.kind(&root, &format!("set/{name}"))
        });
        let errors: Vec<String> = kinds.filter_map(|kind| Some(kind.err()?.to_string())).collect();
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert!(error.contains("root/set/b.png leads to `nowhere.png`, which does not exist"), "{error}");
    }

    /// Another thread swaps the folder with a link to an outside folder while this one reads. The test reads our file
    /// or nothing.
    #[test]
    fn a_link_that_takes_a_folders_place_shows_nothing() {
        let (place, root) = scene();
        let (set, aside, link) = (place.path().join("root/set"), place.path().join("aside"), place.path().join("link"));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    symlink("../outside", &link).expect("a link");
                    fs::rename(&set, &aside).expect("a folder");
                    fs::rename(&link, &set).expect("a free name");
                    fs::remove_file(&set).expect("a link");
                    fs::rename(&aside, &set).expect("a free name");
                }
            });
            let mut swapped = 0;
            for _ in 0..50_000 {
                match root.read("set/a") {
                    Ok(content) => assert_eq!(content, b"ours"),
                    Err(RootError::LeadsOut { .. }) => swapped += 1,
                    Err(RootError::Io { source, .. }) => {
                        assert!(
                            matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::WouldBlock),
                            "{source}"
                        );
                    }
                    Err(error) => panic!("{error}"),
                }
                if swapped == 500 {
                    break;
                }
            }
            over.store(true, Ordering::Relaxed);
        });
    }
}
