//! The linear probe: predicts classes from the features of a frozen encoder.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorReadError};

use super::{Batch, Objective, Samples, Scores, cross_entropy};

/// Returns the features of the images `ids`, `[ids, features]`, by `features` on a plain device: evaluation mode, no
/// augmentation, no graph. Returns `None` if `go_on` returned false between batches. The error is a failed read of the
/// device.
pub fn encode(
    features: impl Fn(Tensor<4>) -> Tensor<2>,
    samples: &Samples<'_>,
    ids: &[u32],
    batch: usize,
    device: &Device,
    mut go_on: impl FnMut() -> bool,
) -> Result<Option<Vec<f32>>, TensorReadError> {
    let mut rows = Vec::new();
    for ids in ids.chunks(batch) {
        if !go_on() {
            return Ok(None);
        }
        let (images, _) = samples.plain(ids).upload(device);
        rows.extend(features(images).try_into_vec_as::<f32>()?);
    }
    Ok(Some(rows))
}

/// Cross-entropy over the classes, on features that were computed once.
#[derive(Debug)]
pub struct FrozenFeatures {
    features: usize,
    rows: Arc<Vec<f32>>,
    /// Row and class of each sample.
    index: BTreeMap<u32, (usize, i64)>,
}

impl FrozenFeatures {
    /// Returns the objective for the samples `ids`, whose features are `rows` (`[ids, features]`).
    pub fn new(samples: &Samples<'_>, ids: &[u32], features: usize, rows: Arc<Vec<f32>>) -> Self {
        let index = ids.iter().zip(samples.labels(ids)).enumerate().map(|(row, (id, label))| (*id, (row, label)));
        Self { features, rows, index: index.collect() }
    }

    fn rows_of(&self, ids: &[u32]) -> Batch {
        let found = ids.iter().map(|id| self.index[id]);
        let labels = found.clone().map(|(_, label)| label).collect();
        let inputs = found.flat_map(|(row, _)| &self.rows[row * self.features..][..self.features]).copied().collect();
        Batch { inputs, shape: [ids.len(), self.features, 1, 1], labels }
    }
}

impl Objective for FrozenFeatures {
    fn training(&self, ids: &[u32], _: u32) -> Batch {
        self.rows_of(ids)
    }

    fn validation(&self, ids: &[u32]) -> Batch {
        self.rows_of(ids)
    }

    fn score(&self, outputs: Tensor<2>, labels: Tensor<1, Int>) -> Scores {
        cross_entropy(outputs, labels)
    }
}
