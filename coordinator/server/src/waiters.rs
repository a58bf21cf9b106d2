//! The slots that wait for a stage, by device: a change wakes only those that may get one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use pretext_engine::DeviceKey;
use tokio::sync::watch;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<BTreeMap<DeviceKey, watch::Sender<()>>>);

impl Waiters {
    /// Returns a receiver that changes when the slots of the device are woken.
    pub(crate) fn wait(&self, device: DeviceKey) -> watch::Receiver<()> {
        let mut devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = devices.get(&device) {
            return sender.subscribe();
        }
        // A new device: forget those that nobody waits for any more.
        devices.retain(|_, sender| sender.receiver_count() > 0);
        let (sender, receiver) = watch::channel(());
        devices.insert(device, sender);
        receiver
    }

    /// Wakes the waiting slots of these devices.
    pub(crate) fn wake(&self, woken: &BTreeSet<DeviceKey>) {
        if woken.is_empty() {
            return;
        }
        let devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for sender in woken.iter().filter_map(|device| devices.get(device)) {
            sender.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests {
    use pretext_shared::ids::WorkerId;

    use super::*;

    #[test]
    fn a_wake_reaches_the_slots_of_its_device_and_no_others() {
        let waiters = Waiters::default();
        let key = |device: &str| {
            let worker = WorkerId { name: "w".to_owned(), boot: uuid::Uuid::from_u128(1) };
            (worker, device.to_owned())
        };
        let changed = |receiver: &watch::Receiver<()>| receiver.has_changed().expect("the sender is kept");
        let (one, twin, other) = (waiters.wait(key("a")), waiters.wait(key("a")), waiters.wait(key("b")));
        waiters.wake(&BTreeSet::from([key("a"), key("nobody waits here")]));
        assert_eq!([&one, &twin, &other].map(changed), [true, true, false]);
        // A slot that comes later waits for the next wake.
        assert!(!changed(&waiters.wait(key("a"))));
        // Devices that nobody waits for are forgotten.
        drop((one, twin));
        let _last = waiters.wait(key("c"));
        assert_eq!(waiters.0.lock().expect("no test panicked").len(), 2);
    }
}
