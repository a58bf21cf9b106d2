//! Walls that manifests make: what a crate may link, and what must not be below it at any depth.

use super::workspace::Workspace;

/// A rule for the dependencies of some crates.
enum Rule {
    /// Of the workspace's crates it names these and no others.
    OwnAreExactly(&'static [&'static str]),
    /// It names all of these, and maybe others.
    Names(&'static [&'static str]),
    /// None of these is below it, at any depth. `burn*` stands for all names that begin so.
    NotBelow(&'static [&'static str]),
    /// The same for a crate of tests: nor below what its tests name.
    NotBelowTests(&'static [&'static str]),
}

use Rule::{Names, NotBelow, NotBelowTests, OwnAreExactly};

struct Wall {
    crates: &'static [&'static str],
    rule: Rule,
    why: &'static str,
}

const TRAINING: &[&str] = &["burn*", "cubecl*", "pretext-trainer", "worker"];
const NETWORK: &[&str] = &["tokio", "mio", "hyper*", "tonic*", "reqwest", "redis", "object_store"];
const RUNTIMES: &[&str] = &["tokio", "mio", "async-std", "smol", "futures*", "rayon"];
const DISKS: &[&str] = &["redb", "rustix", "cap-std"];
const GENERATORS: &[&str] = &["rand", "fastrand"];

const COORDINATOR: &[&str] = &[
    "coordinator",
    "pretext-artifacts",
    "pretext-client",
    "pretext-engine",
    "pretext-html",
    "pretext-messages",
    "pretext-report",
    "pretext-server",
    "pretext-store",
];
const WORKER: &[&str] = &["worker", "pretext-daemon", "pretext-data", "pretext-checkpoint", "pretext-trainer"];
const PURE: &[&str] = &["pretext-shared", "pretext-engine"];

const WALLS: &[Wall] = &[
    Wall { crates: &["pretext-shared"], rule: OwnAreExactly(&[]), why: "all crates are above the domain types" },
    Wall { crates: PURE, rule: NotBelow(RUNTIMES), why: "they have no async and no threads" },
    Wall { crates: PURE, rule: NotBelow(NETWORK), why: "they have no IO" },
    Wall { crates: PURE, rule: NotBelow(DISKS), why: "they have no IO" },
    Wall { crates: PURE, rule: NotBelow(GENERATORS), why: "draws are functions of what they are for" },
    Wall {
        crates: &["pretext-engine", "pretext-html", "pretext-checkpoint", "pretext-data", "pretext-artifacts"],
        rule: OwnAreExactly(&["pretext-shared"]),
        why: "each is tested alone, and knows domain types only",
    },
    Wall {
        crates: &["pretext-report"],
        rule: OwnAreExactly(&["pretext-html", "pretext-shared"]),
        why: "a report is a function of a sweep",
    },
    Wall { crates: &["pretext-report"], rule: NotBelow(NETWORK), why: "a report is a function of a sweep" },
    Wall { crates: &["pretext-report"], rule: NotBelow(RUNTIMES), why: "a report is a function of a sweep" },
    Wall { crates: COORDINATOR, rule: NotBelow(TRAINING), why: "the coordinator knows nothing of burn" },
    Wall {
        crates: &["pretext-data", "pretext-checkpoint", "pretext-daemon"],
        rule: NotBelow(TRAINING),
        why: "burn is behind the process of the trainer",
    },
    Wall {
        crates: &["pretext-data", "pretext-checkpoint", "pretext-trainer"],
        rule: NotBelow(NETWORK),
        why: "trainers have no network",
    },
    Wall {
        crates: WORKER,
        rule: NotBelow(&["redis", "pretext-store", "pretext-server"]),
        why: "workers have no credentials of the store",
    },
    Wall {
        crates: WORKER,
        rule: NotBelow(&["coordinator", "pretext-engine", "pretext-messages", "pretext-report"]),
        why: "a worker knows nothing of sweeps beyond the stage that it holds",
    },
    Wall {
        crates: &["pretext-data", "pretext-trainer"],
        rule: NotBelow(&["pretext-client", "pretext-identity", "pretext-proto"]),
        why: "trainers have no network",
    },
    Wall {
        crates: &["coordinator", "pretext-daemon"],
        rule: Names(&["pretext-client"]),
        why: "the command line and the daemon reach a coordinator in one way",
    },
    Wall {
        crates: &["pretext-tests", "pretext-fast", "pretext-power-loss", "pretext-bench"],
        rule: NotBelowTests(TRAINING),
        why: "tests that link burn take minutes to build",
    },
    Wall {
        crates: &["pretext-fast"],
        rule: NotBelowTests(&["pretext-server", "pretext-store", "pretext-artifacts", "coordinator"]),
        why: "the fast tier is built in a moment",
    },
    Wall {
        crates: &["pretext-bench"],
        rule: OwnAreExactly(&["pretext-proto", "pretext-shared"]),
        why: "it measures the program from outside",
    },
];

/// A dependency that some crates alone may name, in their tests too.
struct Door {
    to: &'static str,
    of: &'static [&'static str],
    why: &'static str,
}

const DOORS: &[Door] = &[
    Door { to: "redis", of: &["pretext-store"], why: "the store has one speaker" },
    Door {
        to: "redb",
        // The other two are the spool on a worker's own disk, and the disk of the tests that loses power.
        of: &["pretext-store", "pretext-daemon", "pretext-power-loss"],
        why: "the store has one speaker",
    },
    Door { to: "burn", of: &["pretext-trainer", "worker"], why: "burn is behind the process of the trainer" },
    Door { to: "object_store", of: &["pretext-artifacts"], why: "artifacts have one home" },
    Door { to: "pretext-trainer", of: &["worker"], why: "the daemon starts the trainer as a process" },
];

fn fits(name: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *pattern,
    })
}

/// Returns how a crate breaks a rule.
fn broken(workspace: &Workspace, name: &str, rule: &Rule) -> Option<String> {
    let named = workspace.named(name);
    match rule {
        OwnAreExactly(expected) => {
            let own: Vec<&str> =
                named.iter().copied().filter(|other| workspace.packages.contains_key(*other)).collect();
            (own != *expected).then(|| format!("of the workspace it names {own:?}, and not {expected:?}"))
        }
        Names(expected) => {
            let missing = expected.iter().find(|other| !named.contains(*other))?;
            Some(format!("it does not name `{missing}`"))
        }
        NotBelow(patterns) => {
            Some(format!("below it is {}", workspace.way(name, &named, |other| fits(other, patterns))?))
        }
        NotBelowTests(patterns) => {
            let named = workspace.named_by_its_tests(name);
            Some(format!("below it is {}", workspace.way(name, &named, |other| fits(other, patterns))?))
        }
    }
}

#[test]
fn no_crate_links_what_a_wall_keeps_out() {
    let workspace = Workspace::read();
    let crates = |wall: &'static Wall| wall.crates.iter().map(move |name| (*name, wall));
    let found: Vec<String> = WALLS
        .iter()
        .flat_map(crates)
        .filter_map(|(name, wall)| Some(format!("{name}: {} ({})", broken(&workspace, name, &wall.rule)?, wall.why)))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn each_door_is_used_by_its_crates_alone() {
    let workspace = Workspace::read();
    for Door { to, of, why } in DOORS {
        let users = workspace.packages.values().filter(|package| {
            // With tests and build scripts: a test that goes past the door shows that others could.
            package.dependencies.iter().any(|dependency| dependency.name == *to)
        });
        let users: Vec<&str> = users.map(|package| package.name.as_str()).collect();
        let strangers: Vec<_> = users.iter().filter(|name| !of.contains(name)).collect();
        assert!(strangers.is_empty(), "`{to}` is for {of:?} alone, and {strangers:?} name it: {why}");
        let unused: Vec<_> = of.iter().filter(|name| !users.contains(name)).collect();
        assert!(unused.is_empty(), "{unused:?} do not name `{to}` any more: take them out of the list");
    }
}

#[test]
fn every_crate_is_behind_a_wall() {
    // The wire and the callers' side of identity are for both sides.
    const OPEN: [&str; 2] = ["pretext-identity", "pretext-proto"];
    let walled: Vec<&str> = WALLS.iter().flat_map(|wall| wall.crates).copied().collect();
    let packages = Workspace::read().packages;
    let missing: Vec<_> =
        packages.keys().filter(|name| !walled.contains(&name.as_str()) && !OPEN.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "no wall names {missing:?}");
}
