//! Memory that is reused from step to step.

use std::cell::RefCell;

thread_local! { static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) }; }

/// Calls `work` with `length` values of arbitrary content. The buffer lives as long as the thread. It is taken out
/// while in use, because `work` may ask for another buffer, and rayon may run another task on the same thread
/// meanwhile.
pub(super) fn with_scratch<R>(length: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = SCRATCH.with(|scratch| scratch.borrow_mut().pop()).unwrap_or_default();
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
    let result = work(&mut buffer[..length]);
    SCRATCH.with(|scratch| scratch.borrow_mut().push(buffer));
    result
}
