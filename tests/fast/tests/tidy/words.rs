//! Walls within sources: what the code of a crate must not name, although it could.

use super::tree::Tree;
use super::workspace::Workspace;

struct Wall {
    crates: &'static [&'static str],
    /// Paths, with everything below them, or methods.
    words: &'static [&'static str],
    /// The files that may.
    except: &'static [&'static str],
    why: &'static str,
}

const IO: &[&str] = &[
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::env::args",
    "std::env::current_dir",
    "std::env::var",
    "std::env::var_os",
    "std::env::vars",
    "std::env::temp_dir",
    "print",
    "println",
    "eprintln",
];
const CLOCK: &[&str] = &["std::time::Instant", "std::time::SystemTime", "uuid::Uuid::now_v7", "uuid::Timestamp::now"];
const THREADS: &[&str] = &["std::thread", "std::sync::mpsc", "async", "std::future", "std::task"];
const RANDOMNESS: &[&str] =
    &["fastrand", "rand", "getrandom", "uuid::Uuid::new_v4", "std::hash::RandomState", "std::collections::hash_map"];
const SOCKETS: &[&str] = &["std::net", "std::os::unix::net", "rustix::net", "tokio"];

const PURE: &[&str] = &["pretext-shared", "pretext-engine", "pretext-messages"];

const WALLS: &[Wall] = &[
    Wall { crates: PURE, words: IO, except: &[], why: "they have no IO" },
    Wall { crates: PURE, words: CLOCK, except: &[], why: "time is an argument" },
    Wall { crates: PURE, words: THREADS, except: &[], why: "they have no async and no threads" },
    Wall { crates: PURE, words: RANDOMNESS, except: &[], why: "they draw no random numbers" },
    Wall {
        crates: &["pretext-report"],
        words: IO,
        except: &["coordinator/report/src/files/write.rs"],
        why: "a report is a function of a sweep; one file writes it",
    },
    Wall { crates: &["pretext-report"], words: CLOCK, except: &[], why: "a report is a function of a sweep" },
    Wall { crates: &["pretext-report"], words: THREADS, except: &[], why: "a report is a function of a sweep" },
    Wall { crates: &["pretext-report"], words: RANDOMNESS, except: &[], why: "a report is a function of a sweep" },
    Wall {
        crates: &["pretext-trainer", "pretext-data", "pretext-checkpoint"],
        words: SOCKETS,
        except: &[],
        why: "trainers have no network",
    },
    Wall {
        crates: &["pretext-trainer", "pretext-data"],
        words: &["fastrand", "rand", "getrandom", "uuid::Uuid::new_v4", "burn::tensor::Distribution"],
        except: &[],
        why: "every draw is a function of what it is for: there is no generator state to save",
    },
    Wall {
        crates: &["worker", "pretext-daemon", "pretext-data", "pretext-checkpoint", "pretext-trainer"],
        words: &["pretext_shared::spec", "pretext_shared::plan", "pretext_shared::sweep"],
        except: &[],
        why: "a worker knows nothing of sweeps beyond the stage that it holds",
    },
    Wall {
        crates: &["pretext-server", "coordinator"],
        words: &[".commit"],
        except: &["coordinator/server/src/core.rs"],
        why: "only the core thread writes the store",
    },
];

#[test]
fn no_source_names_what_a_wall_keeps_out() {
    let workspace = Workspace::read();
    let (mut broken, mut unused): (Vec<String>, Vec<&str>) = Default::default();
    for Wall { crates, words, except, why } in WALLS {
        let mut used = Vec::new();
        let words: Vec<Vec<&str>> = words.iter().map(|word| word.split("::").collect()).collect();
        let targets = crates.iter().flat_map(|name| &workspace.package(name).targets);
        for target in targets.filter(|target| target.is_product()) {
            for module in Tree::read(&target.src_path).0.values() {
                let paths = module.source.paths.iter().map(|path| module.source.in_full(path));
                let mut forbidden = paths.filter(|path| words.iter().any(|word| is_below(path, word)));
                match forbidden.next() {
                    Some(_) if except.contains(&module.file.as_str()) => used.push(module.file.clone()),
                    Some(path) => broken.push(format!("{}: {} ({why})", module.file, path.join("::"))),
                    None => {}
                }
            }
        }
        unused.extend(except.iter().filter(|file| !used.iter().any(|other| other == *file)));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(unused.is_empty(), "these files need no exception any more: {unused:?}");
}

fn is_below(path: &[String], word: &[&str]) -> bool {
    path.len() >= word.len() && path.iter().zip(word).all(|(segment, word)| segment == word)
}
