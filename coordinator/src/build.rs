//! The sources that this program was built from.

use pretext_shared::ids::ContentHash;
use pretext_shared::sweep::Build;

/// The lock file: versions of all packages in the programs.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The revision of the sources, if the build names it (`make` does). The compiler does not ask git for it: the same
/// sources must give the same program in any folder.
const REVISION: Option<&str> = option_env!("PRETEXT_REVISION");

/// Returns the build of the running program.
pub(crate) fn this() -> Build {
    Build {
        revision: REVISION.filter(|revision| !revision.is_empty()).map(str::to_owned),
        lock: ContentHash::of(LOCK.as_bytes()),
        crates: crates(LOCK),
    }
}

/// Returns `NAME VERSION` of every package. Only cargo writes lock files, so a package is always a heading, a name and
/// a version, each on its own line.
fn crates(lock: &str) -> Vec<String> {
    let value = |line: Option<&str>, key: &str| -> Option<String> {
        Some(line?.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned())
    };
    let mut lines = lock.lines();
    let mut crates = Vec::new();
    while lines.by_ref().any(|line| line == "[[package]]") {
        if let (Some(name), Some(version)) = (value(lines.next(), "name"), value(lines.next(), "version")) {
            crates.push(format!("{name} {version}"));
        }
    }
    crates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_is_read_to_its_end() {
        let build = this();
        assert_eq!(build.crates.len(), LOCK.matches("[[package]]").count());
        assert!(build.crates.contains(&format!("coordinator {}", env!("CARGO_PKG_VERSION"))), "{:?}", build.crates);
    }
}
