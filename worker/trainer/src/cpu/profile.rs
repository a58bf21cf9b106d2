//! Where a training step's time goes, by operation: counters that a bench reads. Counting costs two looks at the clock for
//! each operation, tens of nanoseconds beside at least tens of microseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is timed, as the calling thread sees it.
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
    /// The same, backward.
    NormalizationBackward,
    /// Pooling, both ways.
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

/// Runs `work` and books its time on `operation`.
pub(super) fn timed<R>(operation: Operation, work: impl FnOnce() -> R) -> R {
    let begin = Instant::now();
    let result = work();
    SPENT[operation as usize].fetch_add(begin.elapsed().as_nanos() as u64, Ordering::Relaxed);
    result
}

/// The time of each operation since the last call.
pub fn take() -> [(Operation, Duration); Operation::ALL.len()] {
    Operation::ALL
        .map(|operation| (operation, Duration::from_nanos(SPENT[operation as usize].swap(0, Ordering::Relaxed))))
}
