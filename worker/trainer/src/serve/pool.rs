//! The threads that a trainer computes on.

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

/// Makes the process's one pool: `threads` threads (0: one per core), thread i pinned to the i-th of `cores`, so that
/// the trainers of a machine do not compete for cores.
pub(super) fn build(threads: usize, cores: Option<&[usize]>) -> Result<(), ThreadPoolBuildError> {
    let cores = cores.unwrap_or_default().to_vec();
    // The threads that serve the pool (input, reports) stay on the same cores.
    pin(&cores);
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("compute-{i}"))
        .start_handler(move |i| {
            if !cores.is_empty() {
                pin(&[cores[i % cores.len()]]);
            }
        })
        .build_global()
}

/// Binds the calling thread, and the threads that it starts, to `cores`; an empty list binds nothing. If the system
/// refuses, the thread continues unbound: slower, with the same results.
#[cfg(target_os = "linux")]
fn pin(cores: &[usize]) {
    use rustix::thread::{CpuSet, sched_setaffinity};
    if cores.is_empty() {
        return;
    }
    let mut set = CpuSet::new();
    for core in cores.iter().filter(|core| **core < CpuSet::MAX_CPU) {
        set.set(*core);
    }
    if let Err(error) = sched_setaffinity(None, &set) {
        tracing::warn!(?cores, %error, "a thread could not be bound to its cores; it runs on any core");
    }
}

#[cfg(not(target_os = "linux"))]
fn pin(_: &[usize]) {}
