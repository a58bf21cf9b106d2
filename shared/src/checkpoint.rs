//! Names of checkpoint files on a worker's disk. The trainer writes them and the daemon finds them.

use std::path::Path;

const PREFIX: &str = "checkpoint-";
const SUFFIX: &str = ".bin";

/// Returns the name of the checkpoint after `step` steps. Names sort as steps do.
pub fn file_name(step: u64) -> String {
    format!("{PREFIX}{step:012}{SUFFIX}")
}

/// Returns the step in the name of the checkpoint at `path`, or `None` if the file is no checkpoint.
pub fn step_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_steps_do_and_read_back() {
        let names = [9, 10, 12_345].map(file_name);
        assert!(names.is_sorted());
        assert_eq!(names.map(|name| step_of(Path::new(&name))), [Some(9), Some(10), Some(12_345)]);
        assert_eq!(step_of(Path::new("model.bin")), None);
    }
}
