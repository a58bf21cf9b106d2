//! Turns of tests that train. A tier is one binary, and its tests run at once on as many threads as the machine has
//! processors. Each trainer uses all processors. Without turns, training tests would take so much time from each other
//! that leases of a second expire and [`until`](crate::until) gives up, although nothing is wrong.

use std::sync::{Condvar, Mutex, PoisonError};

/// Largest number of training tests that run at once.
const AT_ONCE: usize = 4;

static FREE: Mutex<usize> = Mutex::new(AT_ONCE);
static RETURNED: Condvar = Condvar::new();

/// The right of one test to train. It ends when it is dropped.
#[must_use = "the turn ends when it is dropped"]
pub struct Turn {
    places: usize,
}

/// Waits for a place among the training tests. Take it once in a test, as its first line.
pub fn training() -> Turn {
    wait_for(1)
}

/// Waits until no other test trains, and keeps it so. For tests of many processes, which need the whole machine.
pub fn training_alone() -> Turn {
    wait_for(AT_ONCE)
}

fn wait_for(places: usize) -> Turn {
    // A panic cannot leave a wrong number here, so a poisoned lock is good.
    let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut free = RETURNED.wait_while(free, |free| *free < places).unwrap_or_else(PoisonError::into_inner);
    *free -= places;
    Turn { places }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += self.places;
        RETURNED.notify_all();
    }
}
