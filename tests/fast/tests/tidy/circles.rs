//! Walls within a crate: the modules of one folder use each other in one direction. The folder's own file (`mod.rs`,
//! `lib.rs`, `main.rs`) is the folder's face: it names what is in it, and what is in it may name it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::source::Path;
use super::tree::Tree;
use super::workspace::{Workspace, relative};

/// A circle that is still there.
struct Known {
    /// The file of the library or program, from the root of the workspace.
    target: &'static str,
    /// The folder, as a path of modules.
    folder: &'static str,
    /// All modules that reach each other, sorted.
    modules: &'static [&'static str],
}

/// This list may only shrink: remove a circle here when it is mended.
const KNOWN: &[Known] = &[
    Known { target: "coordinator/engine/src/lib.rs", folder: "", modules: &["outline", "record"] },
    Known { target: "coordinator/server/src/lib.rs", folder: "http", modules: &["page", "pages", "reply"] },
    Known { target: "coordinator/src/main.rs", folder: "", modules: &["progress", "status"] },
    Known { target: "identity/src/lib.rs", folder: "", modules: &["pin", "token"] },
    Known { target: "shared/src/lib.rs", folder: "plan", modules: &["cost", "counts"] },
    Known {
        target: "shared/src/lib.rs",
        folder: "spec",
        modules: &["axes", "dataset", "encoder", "file", "recipes", "schedule", "training", "weights"],
    },
    Known {
        target: "tests/fast/src/lib.rs",
        folder: "simulation",
        modules: &["client", "coordinator", "machine", "oracle", "world"],
    },
    Known { target: "worker/daemon/src/lib.rs", folder: "", modules: &["attempt", "process", "slot"] },
    Known { target: "worker/trainer/src/lib.rs", folder: "device", modules: &["adapters", "name"] },
    Known { target: "worker/trainer/src/lib.rs", folder: "weights", modules: &["file", "names"] },
];

/// Which modules of a folder use which, with one place for each.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

/// Returns the uses between the modules of each folder.
fn folders(tree: &Tree) -> BTreeMap<Path, Uses> {
    let mut folders: BTreeMap<Path, Uses> = BTreeMap::new();
    for (at, module) in &tree.0 {
        for path in &module.source.paths {
            let Some(target) = tree.target(at, path) else { continue };
            let shared = at.iter().zip(&target).take_while(|(one, other)| one == other).count();
            // One contains the other.
            let (Some(user), Some(used)) = (at.get(shared), target.get(shared)) else { continue };
            let uses = folders.entry(at[..shared].to_vec()).or_default().entry(user.clone()).or_default();
            uses.entry(used.clone()).or_insert_with(|| format!("{}: {}", module.file, path.join("::")));
        }
    }
    folders
}

/// Returns the shortest way from a module back to itself.
fn circle(uses: &Uses, start: &str) -> Option<Vec<String>> {
    let mut open = VecDeque::from([vec![start.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = open.pop_front() {
        for next in way.last().and_then(|last| uses.get(last)).into_iter().flat_map(BTreeMap::keys) {
            let longer = [way.clone(), vec![next.clone()]].concat();
            if next == start {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                open.push_back(longer);
            }
        }
    }
    None
}

/// Returns the modules that `start` reaches.
fn reached(uses: &Uses, start: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    while let Some(module) = open.pop() {
        for next in uses.get(module).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    seen
}

/// Returns the groups of modules that reach each other.
fn knots(uses: &Uses) -> BTreeSet<Vec<String>> {
    let reaches: BTreeMap<&String, BTreeSet<String>> = uses.keys().map(|name| (name, reached(uses, name))).collect();
    let in_circle = reaches.iter().filter(|(name, reached)| reached.contains(**name));
    let knot = in_circle.map(|(name, reached)| {
        let back = reached.iter().filter(|other| reaches.get(other).is_some_and(|from| from.contains(*name)));
        back.cloned().collect::<Vec<_>>()
    });
    knot.collect()
}

/// Returns the circle through a knot, with the places that make it.
fn told(uses: &Uses, knot: &[String]) -> String {
    let ways = knot.iter().filter_map(|module| circle(uses, module));
    let way = ways.min_by_key(Vec::len).expect("a knot has a circle");
    let places = way.windows(2).map(|step| format!("    {} uses {}: {}", step[0], step[1], uses[&step[0]][&step[1]]));
    format!("{}\n{}", way.join(" -> "), places.collect::<Vec<_>>().join("\n"))
}

#[test]
fn modules_use_each_other_in_one_direction() {
    let workspace = Workspace::read();
    let targets = workspace.packages.values().flat_map(|package| &package.targets).filter(|target| target.is_product());
    let (mut broken, mut still) = (Vec::new(), BTreeSet::new());
    let mut modules = 0;
    for target in targets {
        let (file, tree) = (relative(&target.src_path), Tree::read(&target.src_path));
        modules += tree.0.len();
        for (folder, uses) in folders(&tree) {
            let folder = folder.join("::");
            for knot in knots(&uses) {
                let is_this = |known: &&Known| known.target == file && known.folder == folder && knot == known.modules;
                match KNOWN.iter().position(|known| is_this(&known)) {
                    Some(place) => drop(still.insert(place)),
                    None => broken.push(format!(
                        "{file}: the modules {knot:?} of `{folder}` are in a circle: {}",
                        told(&uses, &knot)
                    )),
                }
            }
        }
    }
    assert!(modules > 250, "{modules} modules are not the workspace");
    let mended = KNOWN.iter().enumerate().filter(|(place, _)| !still.contains(place));
    broken.extend(mended.map(|(_, Known { target, folder, modules })| {
        format!("{target}: the circle {modules:?} of `{folder}` is mended: remove it from the list")
    }));
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_circle_is_found_through_renamed_and_exported_names() {
    use super::source::Source;
    use super::tree::Module;
    let module = |path: &str, text: &str| {
        let file = format!("{path}.rs");
        let source = Source::parse(&file, text);
        (path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(), Module { file, source })
    };
    let tree = |inner: &str| {
        Tree(BTreeMap::from([
            module("", "mod a; mod b; mod c; pub use b::Thing as Named;"),
            module("a", "mod inner; fn f() { inner::g(&crate::c::new()) }"),
            module("a/inner", inner),
            module("b", "use super::a::*; pub struct Thing; // crate::c"),
            module("c", "pub fn new() { let text = \"crate::a\"; } #[cfg(test)] mod tests { use crate::a; }"),
        ]))
    };
    let found = |inner: &str| {
        let found = folders(&tree(inner)).into_values().flat_map(|uses| knots(&uses)).collect::<Vec<_>>();
        found.concat()
    };
    assert_eq!(found("pub fn g() {}"), [""; 0]);
    assert_eq!(found("use crate::Named; pub fn g() {}"), ["a", "b"]);
    assert_eq!(found("pub fn g() { super::super::Named::new() }"), ["a", "b"]);
    assert_eq!(found("use super::super as top; pub fn g() { vec![top::b::Thing] }"), ["a", "b"]);
}
