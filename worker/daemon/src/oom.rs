//! The kernel's count of processes that it killed because memory ran out.

use std::path::PathBuf;

/// The count of this process's control group at one moment.
#[derive(Debug, Clone)]
pub(super) struct OomKills {
    /// `memory.events` of the group; `None` if the system has no such file.
    events: Option<PathBuf>,
    before: Option<u64>,
}

impl OomKills {
    /// Returns the present count.
    pub(super) fn now() -> Self {
        let group = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let events = events_of(&group);
        let before = events.as_ref().and_then(|path| count(&std::fs::read_to_string(path).ok()?));
        Self { events, before }
    }

    /// Returns whether the count is higher than before. Without a count nothing has risen.
    pub(super) fn has_risen(&self) -> bool {
        let now = self.events.as_ref().and_then(|path| count(&std::fs::read_to_string(path).ok()?));
        now.zip(self.before).is_some_and(|(now, before)| now > before)
    }
}

/// Returns the file of the group in `/proc/self/cgroup`, which has a line `0::PATH` (control groups, version 2).
fn events_of(group: &str) -> Option<PathBuf> {
    let path = group.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(PathBuf::from("/sys/fs/cgroup").join(path.trim_start_matches('/')).join("memory.events"))
}

/// Returns the value of the line `oom_kill N`.
fn count(events: &str) -> Option<u64> {
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_its_line_and_compared() {
        let folder = tempfile::tempdir().expect("a folder");
        let events = folder.path().join("memory.events");
        let write = |kills: u64| {
            std::fs::write(&events, format!("low 0\noom 7\noom_kill {kills}\noom_group_kill 9\n")).expect("writable");
        };
        write(2);
        let before = OomKills { events: Some(events.clone()), before: Some(2) };
        assert!(!before.has_risen());
        write(3);
        assert!(before.has_risen());
        assert!(!OomKills { events: None, before: None }.has_risen());
        let group = "1:name=systemd:/a\n0::/system.slice/pretext.service\n";
        let path = events_of(group).expect("version 2");
        assert_eq!(path, PathBuf::from("/sys/fs/cgroup/system.slice/pretext.service/memory.events"));
    }
}
