//! A report folder in memory: files by relative path, and the names of files.

use std::collections::BTreeMap;

use pretext_shared::sweep::CellKey;
use pretext_shared::text;

/// Files by their path below the report folder, with `/` between components.
///
/// Paths hold nothing outside `[A-Za-z0-9._-]` and `/`, and no two differ in letter case alone, so
/// that the folder can be copied to any file system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    files: BTreeMap<String, Vec<u8>>,
}

impl Folder {
    /// Adds a file at `path` and returns the path that it got: characters that are not allowed are
    /// replaced, and a path that is taken gets a number.
    pub fn add(&mut self, path: &str, content: impl Into<Vec<u8>>) -> String {
        let wanted = path.split('/').map(text::file_name).collect::<Vec<_>>().join("/");
        let (stem, extension) = wanted.rsplit_once('.').unwrap_or((&wanted, ""));
        let numbered = |n: u32| match n {
            1 => wanted.clone(),
            n if extension.is_empty() => format!("{stem}-{n}"),
            n => format!("{stem}-{n}.{extension}"),
        };
        let free = (1..).map(numbered).find(|path| !self.is_taken(path)).expect("there are more numbers than files");
        self.files.insert(free.clone(), content.into());
        free
    }

    fn is_taken(&self, path: &str) -> bool {
        self.files.keys().any(|known| known.eq_ignore_ascii_case(path))
    }

    /// The content of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// All files, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }
}

/// Returns `METHOD_FRACTION_LR_SEED`, the start of the names of a cell's files.
pub fn cell_stem(key: &CellKey) -> String {
    format!("{}_{}_{}_{}", key.method, key.fraction, key.lr, key.seed)
}
