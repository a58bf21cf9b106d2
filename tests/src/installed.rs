//! Programs that only tests need, and that `tests/setup.sh test` installs.

use std::path::{Path, PathBuf};

/// Returns the folder of programs of one such group.
pub fn programs(group: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || Path::new(&std::env::var_os("HOME").expect("a home")).join(".cache");
    let programs = cache.unwrap_or_else(home).join("pretext").join(group).join("bin");
    assert!(programs.is_dir(), "{} is missing: `tests/setup.sh test` makes it", programs.display());
    programs
}
