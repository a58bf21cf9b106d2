//! CPU time and memory of a process, as /proc has them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::BenchError;

/// Name of the coordinator's thread that decides.
const CORE: &str = "core";

/// CPU time of a process since its start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// Of all threads.
    pub(crate) all: Duration,
    /// Of the thread that decides.
    pub(crate) core: Duration,
}

impl Cpu {
    /// Returns the time since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { all: self.all.saturating_sub(earlier.all), core: self.core.saturating_sub(earlier.core) }
    }
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// CPU time.
    pub(crate) cpu: Cpu,
    /// Memory that is in use now, in bytes.
    pub(crate) resident: u64,
    /// The most memory so far, in bytes.
    pub(crate) peak: u64,
}

impl Usage {
    /// Returns the use of the process with this id.
    pub(crate) fn of(id: u32) -> Result<Self, BenchError> {
        let folder = PathBuf::from(format!("/proc/{id}"));
        let status = read(&folder.join("status"))?;
        let memory = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
        };
        let cpu = Cpu { all: time(&folder.join("stat"))?, core: core(&folder.join("task"))? };
        Ok(Self { cpu, resident: memory("VmRSS"), peak: memory("VmHWM") })
    }
}

/// Returns the CPU time of the bench itself: it shares the machine with what it measures.
pub(crate) fn own_cpu() -> Result<Duration, BenchError> {
    time(Path::new("/proc/self/stat"))
}

fn core(tasks: &Path) -> Result<Duration, BenchError> {
    for task in std::fs::read_dir(tasks).map_err(BenchError::file(tasks))?.flatten() {
        // A thread may end meanwhile.
        if std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim_end() == CORE) {
            return time(&task.path().join("stat"));
        }
    }
    Ok(Duration::ZERO)
}

fn read(path: &Path) -> Result<String, BenchError> {
    std::fs::read_to_string(path).map_err(BenchError::file(path))
}

fn time(path: &Path) -> Result<Duration, BenchError> {
    ticks(&read(path)?)
        .map(|ticks| Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second().max(1) as f64))
        .ok_or_else(|| BenchError::Answer(format!("{} has no CPU time", path.display())))
}

/// Returns the clock ticks in user mode and in the kernel: the 14th and the 15th field of a `stat` file. The second one
/// is a name in parentheses, which may contain blanks.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_any_name() {
        let stat = "7 (a) (b c) S 1 7 7 0 -1 4194304 1 2 3 4 150 50 6 7 20 0 9 0 1";
        assert_eq!(ticks(stat), Some(200));
        assert_eq!(ticks("7 (a) S 1"), None);
    }
}
