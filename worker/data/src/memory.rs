//! How much memory this process may use: the machine's, or less where a container, a batch system or `ulimit` says so.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the limit in bytes; `None` if this system does not tell.
pub fn limit() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| of_machine(&text));
    let process = read(Path::new("/proc/self/limits")).and_then(|text| of_process(&text));
    let group = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let groups = files_of_groups(&group).into_iter().filter_map(|path| of_group(&read(&path)?)).min();
    [machine, process, groups].into_iter().flatten().min()
}

/// Returns the value of the line `MemTotal: N kB`.
fn of_machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Returns the smaller soft limit of the address space and of the data segment.
fn of_process(limits: &str) -> Option<u64> {
    let soft =
        |name: &str| limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok();
    [soft("Max address space"), soft("Max data size")].into_iter().flatten().min()
}

/// Returns a group's limit; `max`, and the huge numbers that version 1 writes for it, are none.
fn of_group(content: &str) -> Option<u64> {
    content.trim().parse().ok().filter(|bytes| *bytes < 1 << 60)
}

/// Returns the files with the limits of the groups in `/proc/self/cgroup`, and of all groups above them.
fn files_of_groups(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            named if named.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        files.extend(
            Path::new(path.trim_start_matches('/')).ancestors().map(|above| Path::new(root).join(above).join(file)),
        );
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_where_linux_writes_them() {
        assert_eq!(of_machine("MemFree: 1 kB\nMemTotal:       24576000 kB\n"), Some(24_576_000 << 10));
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max data size             unlimited            unlimited            bytes     \n\
                      Max address space         6144000000           unlimited            bytes     \n";
        assert_eq!(of_process(limits), Some(6_144_000_000));
        assert_eq!(of_process(""), None);
        assert_eq!(
            [of_group("max\n"), of_group("9223372036854771712\n"), of_group("1048576\n")],
            [None, None, Some(1 << 20)]
        );
        let files = files_of_groups("12:memory,hugetlb:/a/b\n3:cpu:/a\n0::/s/t\n");
        let expected = [
            "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/s/t/memory.max",
            "/sys/fs/cgroup/s/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(files, expected.map(PathBuf::from));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_memory() {
        assert!(limit().is_some_and(|bytes| bytes > 1 << 26));
    }
}
