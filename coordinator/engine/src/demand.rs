//! Computes the number of wanted slots from the backlog: pure functions.

use std::collections::HashMap;

use crate::ClassBacklog;
use pretext_shared::device::NumericClass;

/// Largest accepted number of slots of a worker.
const MAX_SLOTS: u32 = 1024;

/// The policy of removing workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleDown {
    /// Remove no worker while any stage of the class runs: a scaler chooses a worker without knowing whether it is
    /// busy. Idle workers wait for the last busy one.
    Drained,
    /// Remove workers as soon as there are more slots than stages. A busy worker that is stopped writes a checkpoint
    /// and gives its lease back.
    Eager,
}

/// The metadata of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// The device class whose stages count.
    pub class: NumericClass,
    /// Slots of one worker.
    pub slots_per_worker: u32,
    /// The policy of removing workers.
    pub scale_down: ScaleDown,
}

/// The problem with a trigger's metadata.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    /// `class` is missing or not valid.
    #[error("the trigger's metadata must have `class: cpu` or `class: gpu`")]
    Class,
    /// `slotsPerWorker` is not a valid number of slots.
    #[error("the trigger's `slotsPerWorker` must be a whole number from 1 to {MAX_SLOTS}")]
    Slots,
    /// `scaleDown` is not valid.
    #[error("the trigger's `scaleDown` must be `drained` or `eager`")]
    ScaleDown,
}

impl Trigger {
    /// Reads the metadata of a trigger. Keys of the autoscaler itself (`scalerAddress`, …) are ignored.
    pub fn parse(metadata: &HashMap<String, String>) -> Result<Self, TriggerError> {
        let class = metadata.get("class").and_then(|text| text.parse().ok()).ok_or(TriggerError::Class)?;
        let slots_per_worker = match metadata.get("slotsPerWorker") {
            None => 1,
            Some(text) => {
                text.parse().ok().filter(|slots| (1..=MAX_SLOTS).contains(slots)).ok_or(TriggerError::Slots)?
            }
        };
        let scale_down = match metadata.get("scaleDown").map(String::as_str) {
            None | Some("drained") => ScaleDown::Drained,
            Some("eager") => ScaleDown::Eager,
            Some(_) => return Err(TriggerError::ScaleDown),
        };
        Ok(Self { class, slots_per_worker, scale_down })
    }

    /// Returns the metric's name.
    pub fn metric(&self) -> String {
        format!("pretext-{}-slots", self.class)
    }

    /// Returns whether there is anything to do.
    pub fn is_active(&self, backlog: ClassBacklog) -> bool {
        backlog.ready + backlog.running > 0
    }

    /// Returns the wanted slots: one for each stage that runs or could run. While a stage runs, at least the present
    /// number with `Drained`.
    pub fn demand(&self, backlog: ClassBacklog) -> usize {
        let stages = backlog.ready + backlog.running;
        match self.scale_down {
            ScaleDown::Drained if backlog.running > 0 => stages.max(backlog.slots),
            ScaleDown::Drained | ScaleDown::Eager => stages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn backlog(ready: usize, running: usize, slots: usize) -> ClassBacklog {
        ClassBacklog { ready, running, slots, ..ClassBacklog::default() }
    }

    #[test]
    fn no_worker_is_taken_away_while_another_is_busy() {
        let drained = Trigger::parse(&metadata(&[("class", "gpu")])).expect("a good trigger");
        let eager = Trigger { scale_down: ScaleDown::Eager, ..drained };
        // From zero, then up with the queue.
        assert_eq!((drained.demand(backlog(0, 0, 0)), drained.is_active(backlog(0, 0, 0))), (0, false));
        assert_eq!((drained.demand(backlog(7, 0, 0)), drained.is_active(backlog(7, 0, 0))), (7, true));
        // Four slots, one still busy: only the eager form would end a worker, perhaps the busy one.
        assert_eq!((drained.demand(backlog(0, 1, 4)), eager.demand(backlog(0, 1, 4))), (4, 1));
        // Drained: everything goes.
        assert_eq!((drained.demand(backlog(0, 0, 4)), drained.is_active(backlog(0, 0, 4))), (0, false));
    }

    #[test]
    fn a_bad_trigger_is_refused_in_words() {
        let parse = |pairs: &[(&str, &str)]| Trigger::parse(&metadata(pairs));
        assert_eq!(parse(&[]), Err(TriggerError::Class));
        assert_eq!(parse(&[("class", "tpu")]), Err(TriggerError::Class));
        assert_eq!(parse(&[("class", "gpu"), ("slotsPerWorker", "0")]), Err(TriggerError::Slots));
        assert_eq!(parse(&[("class", "gpu"), ("scaleDown", "now")]), Err(TriggerError::ScaleDown));
        let all = [("class", "cpu"), ("slotsPerWorker", "8"), ("scaleDown", "eager"), ("scalerAddress", "c:7878")];
        let trigger = Trigger { class: NumericClass::Cpu, slots_per_worker: 8, scale_down: ScaleDown::Eager };
        assert_eq!(parse(&all), Ok(trigger));
        assert_eq!(trigger.metric(), "pretext-cpu-slots");
    }
}
