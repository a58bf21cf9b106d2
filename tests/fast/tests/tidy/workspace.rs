//! The workspace's crates: what their manifests name, and what Cargo.lock links below that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// Packages that stand for a browser as the operating system. Nothing here is built for one.
const BROWSERS: [&str; 4] = ["js-sys", "wasm-bindgen", "wasm-bindgen-futures", "web-sys"];

/// Returns the root of the workspace.
pub(crate) fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of the tests");
    tests.parent().expect("the workspace")
}

/// Returns a file's text, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the path of a file from the root.
pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("a file of the workspace").to_string_lossy().into_owned()
}

/// Returns the workspace's own Rust files, by their paths from the root.
pub(crate) fn rust_files() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["proto", "shared", "identity", "coordinator", "worker", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 300, "{} files are not the workspace", found.len());
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(relative(&path));
        }
    }
}

/// A crate of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) targets: Vec<Target>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A library, a program, a test or a bench.
#[derive(Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: Vec<String>,
    pub(crate) src_path: PathBuf,
}

impl Target {
    /// Returns whether this is part of the product: no test, bench or build script.
    pub(crate) fn is_product(&self) -> bool {
        self.kind.iter().any(|kind| kind == "lib" || kind == "bin")
    }
}

/// A dependency in a manifest.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a dependency of the program itself; `dev` or `build` otherwise.
    pub(crate) kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// See the module.
pub(crate) struct Workspace {
    pub(crate) packages: BTreeMap<String, Package>,
    /// The dependencies of each locked package. Versions of one name are taken together.
    locked: BTreeMap<String, BTreeSet<String>>,
}

impl Workspace {
    /// Reads all manifests and Cargo.lock.
    pub(crate) fn read() -> Self {
        #[derive(Deserialize)]
        struct Metadata {
            packages: Vec<Package>,
        }
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root());
        let output = cargo.output().expect("cargo starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("metadata of Cargo");
        let packages = metadata.packages.into_iter().map(|package| (package.name.clone(), package)).collect();
        let lock: Lock = toml::from_str(&read("Cargo.lock")).expect("a lock of Cargo");
        let mut locked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for package in lock.package {
            // NAME, or NAME VERSION where there are several.
            let names = package.dependencies.iter().filter_map(|text| text.split(' ').next()).map(str::to_owned);
            locked.entry(package.name).or_default().extend(names);
        }
        Self { packages, locked }
    }

    /// Returns the crate of this name.
    pub(crate) fn package(&self, name: &str) -> &Package {
        self.packages.get(name).unwrap_or_else(|| panic!("the workspace has no crate `{name}`"))
    }

    /// Returns the names in a crate's manifest that it links itself.
    pub(crate) fn named(&self, package: &str) -> BTreeSet<&str> {
        let normal = self.package(package).dependencies.iter().filter(|dependency| dependency.kind.is_none());
        normal.map(|dependency| dependency.name.as_str()).collect()
    }

    /// Returns all names in a crate's manifest: those of its tests and build script too.
    pub(crate) fn named_by_its_tests(&self, package: &str) -> BTreeSet<&str> {
        self.package(package).dependencies.iter().map(|dependency| dependency.name.as_str()).collect()
    }

    /// Returns the way from `names` of a crate down to the first dependency that fits, or `None`. Cargo.lock has the features that
    /// any crate asks for, on every machine: a dependency may be found that this crate leaves out, and none is missed.
    pub(crate) fn way(&self, package: &str, names: &BTreeSet<&str>, fits: impl Fn(&str) -> bool) -> Option<String> {
        let mut seen = BTreeSet::from([package.to_owned()]);
        let mut open: VecDeque<(String, String)> =
            names.iter().map(|name| ((*name).to_owned(), format!("{package} -> {name}"))).collect();
        while let Some((name, way)) = open.pop_front() {
            if BROWSERS.contains(&name.as_str()) || !seen.insert(name.clone()) {
                continue;
            }
            if fits(&name) {
                return Some(way);
            }
            let below: Vec<String> = match self.packages.contains_key(&name) {
                // The lock does not tell a crate's tests from itself.
                true => self.named(&name).into_iter().map(str::to_owned).collect(),
                false => self.locked.get(&name).into_iter().flatten().cloned().collect(),
            };
            open.extend(below.into_iter().map(|next| (next.clone(), format!("{way} -> {next}"))));
        }
        None
    }
}
