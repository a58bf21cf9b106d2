//! Panics as messages.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use pretext_shared::outcome::FailureCode;

/// Returns the message of a panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Sends panics, with their locations, to the log.
pub(crate) fn log_panics() {
    set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, message = panic_message(info.payload()), "panic");
    }));
}

/// Runs `work` and returns the message of a panic. The caller ends the process soon after one, so state that a panic
/// left half changed is not used again.
pub(crate) fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panic_message(panic.as_ref()))
}

/// Returns the class of failure that a panic's message describes. Backends have no error type for failures that a
/// device reports after the call that caused them.
pub fn classify(message: &str) -> FailureCode {
    let message = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["out of memory", "outofmemory", "out_of_memory", "buffertoobig", "memory allocation of"]) {
        FailureCode::OutOfMemory
    } else if says(&["device lost", "devicelost", "executionerror", "wgpu", "vulkan", "cuda", "hip error", "driver"]) {
        FailureCode::Device
    } else {
        FailureCode::Crashed
    }
}
