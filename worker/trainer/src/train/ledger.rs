//! Scores that are still on the device. On a GPU every read waits until the device is idle, so many are read at once.
//! Every step is still checked and counted.

use burn::tensor::{Int, Tensor};
use pretext_checkpoint::Sums;

use super::StageError;
use crate::methods::Scores;

/// Scores per read on a device where a read waits.
const READ_EVERY: usize = 20;

/// The scores of one batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry<T> {
    /// The caller's description of the batch.
    pub(super) tag: T,
    /// Mean loss.
    pub(super) loss: f32,
    /// Inputs predicted correctly.
    pub(super) correct: u64,
    /// Inputs scored.
    pub(super) seen: u64,
}

/// See the module. `T` identifies batches.
#[derive(Debug)]
pub(super) struct Ledger<T> {
    open: Vec<(T, Tensor<1>, Tensor<1, Int>, u64)>,
    capacity: usize,
}

impl<T> Ledger<T> {
    /// Returns a ledger that reads after each batch if that costs nothing, else after twenty.
    pub(super) fn new(reads_are_free: bool) -> Self {
        Self { open: Vec::new(), capacity: if reads_are_free { 1 } else { READ_EVERY } }
    }

    /// Adds the scores of a batch, and returns those that were read: none, or all so far.
    pub(super) fn note(&mut self, tag: T, scores: Scores) -> Result<Vec<Entry<T>>, StageError> {
        // Without `inner`, the graph of every step would live until it is read.
        self.open.push((tag, scores.loss.inner(), scores.correct, scores.seen));
        if self.open.len() < self.capacity { Ok(Vec::new()) } else { self.settle() }
    }

    /// Reads all scores that are still on the device.
    pub(super) fn settle(&mut self) -> Result<Vec<Entry<T>>, StageError> {
        if self.open.is_empty() {
            return Ok(Vec::new());
        }
        let losses = Tensor::cat(self.open.iter().map(|entry| entry.1.clone()).collect(), 0);
        let correct = Tensor::cat(self.open.iter().map(|entry| entry.2.clone()).collect(), 0);
        let (losses, correct) = (losses.try_into_vec_as::<f32>()?, correct.try_into_vec_as::<i64>()?);
        let entries = self.open.drain(..).zip(losses.into_iter().zip(correct));
        Ok(entries
            .map(|((tag, _, _, seen), (loss, correct))| Entry { tag, loss, correct: correct.max(0) as u64, seen })
            .collect())
    }
}

impl<T> Entry<T> {
    /// Adds these scores to `sums`.
    pub(super) fn add_to(&self, sums: &mut Sums) {
        sums.add(self.loss, self.correct, self.seen);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn scores(loss: f32, correct: i64) -> Scores {
        let device = Device::flex();
        Scores {
            loss: Tensor::from_floats([loss], &device.clone().autodiff()),
            correct: Tensor::from_ints([correct], &device),
            seen: 4,
        }
    }

    #[test]
    fn reading_late_is_reading_the_same() {
        let batches: Vec<(f32, i64)> = (0..47).map(|i| (0.1 * i as f32, i % 5)).collect();
        let run = |reads_are_free| {
            let mut ledger = Ledger::new(reads_are_free);
            let mut sums = Sums::default();
            let mut all = Vec::new();
            let mut take = |entries: Vec<Entry<usize>>| {
                entries.iter().for_each(|entry| entry.add_to(&mut sums));
                all.extend(entries);
            };
            for (i, (loss, correct)) in batches.iter().enumerate() {
                take(ledger.note(i, scores(*loss, *correct)).expect("read"));
            }
            take(ledger.settle().expect("read"));
            (all, sums)
        };
        let (entries, sums) = run(true);
        assert_eq!(run(false), (entries.clone(), sums));
        assert!(entries.iter().enumerate().all(|(i, entry)| entry.tag == i && entry.loss == batches[i].0));
        assert_eq!((sums.seen, sums.correct), (47 * 4, batches.iter().map(|(_, correct)| *correct as u64).sum()));
    }
}
