//! Feeds one input under watch: catches panics of any thread, and measures the allocated memory.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

use peak_alloc::PeakAlloc;

use super::target::{Fate, Target};

/// See the module.
pub(crate) struct Guard {
    allocated: &'static PeakAlloc,
    /// Panics since the last check.
    panics: Arc<Mutex<Vec<String>>>,
}

/// The observations of one input.
pub(crate) struct Seen {
    pub(crate) fate: Result<Fate, String>,
    /// Peak of allocated bytes above the level before.
    pub(crate) memory: usize,
}

impl Guard {
    pub(crate) fn new(allocated: &'static PeakAlloc) -> Self {
        let panics = Arc::new(Mutex::new(Vec::new()));
        let seen = panics.clone();
        panic::set_hook(Box::new(move |info| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(info.to_string().replace('\n', " "));
        }));
        Self { allocated, panics }
    }

    /// Feeds one input, which may allocate `bound` bytes.
    pub(crate) fn feed(&self, target: &mut dyn Target, input: &[u8], bound: usize) -> Seen {
        self.allocated.reset_peak_usage();
        let before = self.allocated.current_usage();
        let fed = panic::catch_unwind(AssertUnwindSafe(|| target.feed(input)));
        let memory = self.allocated.peak_usage().saturating_sub(before);
        let panics = std::mem::take(&mut *self.panics.lock().unwrap_or_else(PoisonError::into_inner));
        let panic = || format!("panic: {}", panics.first().map_or("", String::as_str));
        let fate = match fed {
            Err(_) => Err(panic()),
            Ok(_) if !panics.is_empty() && !target.catches_panics() => Err(panic()),
            Ok(Ok(_)) if memory > bound => Err(format!("{} MiB, the bound is {} MiB", memory >> 20, bound >> 20)),
            Ok(fate) => fate,
        };
        Seen { fate, memory }
    }
}
