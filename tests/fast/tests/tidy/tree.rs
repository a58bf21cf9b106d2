//! The modules of a library or program, and which of them a path leads to.

use std::collections::BTreeMap;
use std::path::{Path as File, PathBuf};

use super::source::{Path, Source};
use super::workspace::relative;

/// A module with a file of its own.
pub(crate) struct Module {
    /// The file, from the root of the workspace.
    pub(crate) file: String,
    pub(crate) source: Source,
}

/// All modules of a target, by their paths from its root, which is the empty path. Modules of tests are left out.
pub(crate) struct Tree(pub(crate) BTreeMap<Path, Module>);

impl Tree {
    /// Reads the modules below the file of a target.
    pub(crate) fn read(root: &File) -> Self {
        let mut tree = Self(BTreeMap::new());
        let folder = root.parent().expect("a file is in a folder").to_owned();
        tree.add(Path::new(), root, &folder);
        tree
    }

    /// Adds a module; `folder` has its children.
    fn add(&mut self, path: Path, file: &File, folder: &File) {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let file = relative(file);
        let source = Source::parse(&file, &text);
        for name in &source.modules {
            let below = folder.join(name);
            let candidates: [PathBuf; 2] = [folder.join(format!("{name}.rs")), below.join("mod.rs")];
            let child = candidates.iter().find(|candidate| candidate.is_file());
            let child = child.unwrap_or_else(|| panic!("{file}: the file of `mod {name}` is not there"));
            self.add([&path[..], std::slice::from_ref(name)].concat(), child, &below);
        }
        self.0.insert(path, Module { file, source });
    }

    /// Returns the module with the item that `path` names in the module `at`, through re-exports. `None` if it leads
    /// out of the crate.
    pub(crate) fn target(&self, at: &[String], path: &[String]) -> Option<Path> {
        self.follow(at, path, 0)
    }

    fn follow(&self, at: &[String], path: &[String], turns: usize) -> Option<Path> {
        /// More re-exports than any path goes through; two that name each other end here.
        const MOST_TURNS: usize = 8;
        let (first, rest) = path.split_first().filter(|_| turns < MOST_TURNS)?;
        let module = self.0.get(at)?;
        let (mut here, mut rest): (Path, &[String]) = match first.as_str() {
            "crate" => (Path::new(), rest),
            "self" => (at.to_vec(), rest),
            "super" => {
                let parent = at.split_last()?.1;
                return match rest.is_empty() {
                    true => Some(parent.to_vec()),
                    // `super::super` and `super::name` are read from there; a name need not be a module.
                    false => self.follow(parent, &[&["self".to_owned()][..], rest].concat(), turns + 1),
                };
            }
            name if module.source.modules.iter().any(|child| child == name) => (at.to_vec(), path),
            name => {
                let used = module.source.uses.get(name).filter(|used| used.first() != Some(first))?;
                return self.follow(at, &[used, rest].concat(), turns + 1);
            }
        };
        while let Some((name, after)) = rest.split_first() {
            if name == "super" {
                return self.follow(&here, rest, turns + 1);
            }
            let child = [&here[..], std::slice::from_ref(name)].concat();
            if !self.0.contains_key(&child) {
                let exported = self.0.get(&here)?.source.uses.get(name);
                let through = exported.and_then(|used| self.follow(&here, &[used, after].concat(), turns + 1));
                return Some(through.unwrap_or(here));
            }
            (here, rest) = (child, after);
        }
        Some(here)
    }
}
