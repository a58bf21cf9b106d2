//! What this program was built from.

use pretext_shared::ids::ContentHash;
use pretext_shared::sweep::Build;

/// The versions of everything that is compiled into the programs.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The revision of the sources, where whoever built the program said it (`make` does). Not asked of git by the
/// compiler: the same sources make the same program wherever they lie.
const REVISION: Option<&str> = option_env!("PRETEXT_REVISION");

/// The build that is running.
pub(crate) fn this() -> Build {
    Build {
        revision: REVISION.filter(|revision| !revision.is_empty()).map(str::to_owned),
        lock: ContentHash::of(LOCK.as_bytes()),
        crates: crates(LOCK),
    }
}

/// `NAME VERSION` of every package. A lock file is written by cargo alone: a package is its heading, its name,
/// its version, in lines of their own.
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
