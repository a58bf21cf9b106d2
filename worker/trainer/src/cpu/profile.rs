//! Counters of a training step's time, by operation, for a bench to read. Counting reads the clock twice for each
//! operation: tens of nanoseconds, compared with at least tens of microseconds of work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The operations that are timed, as the calling thread sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Convolution, forward.
    Convolution,
    /// Gradient of a convolution's input.
    ConvolutionInput,
    /// Gradient of a convolution's weight.
    ConvolutionWeight,
    /// Normalisation, skip connection and activation, forward.
    Normalization,
    /// Normalisation, skip connection and activation, backward.
    NormalizationBackward,
    /// Pooling, forward and backward.
    Pooling,
    /// The optimizer's update.
    Update,
}

impl Operation {
    /// All operations, in the order of the counters.
    pub const ALL: [Operation; 7] = [
        Operation::Convolution,
        Operation::ConvolutionInput,
        Operation::ConvolutionWeight,
        Operation::Normalization,
        Operation::NormalizationBackward,
        Operation::Pooling,
        Operation::Update,
    ];
}

static SPENT: [AtomicU64; Operation::ALL.len()] = [const { AtomicU64::new(0) }; Operation::ALL.len()];

/// Runs `work` and adds its time to `operation`.
pub(super) fn timed<R>(operation: Operation, work: impl FnOnce() -> R) -> R {
    let begin = Instant::now();
    let result = work();
    SPENT[operation as usize].fetch_add(begin.elapsed().as_nanos() as u64, Ordering::Relaxed);
    result
}

/// Returns the time of each operation since the last call.
pub fn take() -> [(Operation, Duration); Operation::ALL.len()] {
    Operation::ALL
        .map(|operation| (operation, Duration::from_nanos(SPENT[operation as usize].swap(0, Ordering::Relaxed))))
}
