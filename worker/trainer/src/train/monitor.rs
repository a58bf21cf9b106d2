//! Monitors the features of a pretext training: k-nearest-neighbour accuracy. It costs a pass over the images and
//! trains nothing. Its labels have no influence on the training.

use pretext_shared::split::Split;
use pretext_shared::stage::{Extent, KnnSpec};

use super::StageError;
use crate::device::Compute;
use crate::methods::{Bank, Samples, encode};
use crate::models::Model;

/// Finds the neighbours of validation images among the training images.
pub(super) struct Monitor<'a> {
    spec: KnnSpec,
    samples: Samples<'a>,
    bank: &'a [u32],
    queries: &'a [u32],
    batch: usize,
    compute: &'a Compute,
}

impl<'a> Monitor<'a> {
    /// Returns the monitor of the images of `split`, in batches of `batch`; in a smoke run, of a few batches.
    pub(super) fn new(
        spec: KnnSpec,
        samples: Samples<'a>,
        split: &'a Split,
        batch: u32,
        extent: Extent,
        compute: &'a Compute,
    ) -> Self {
        let batch = batch.max(1) as usize;
        let most = |ids: &'a [u32], batches: usize| match extent {
            Extent::Whole => ids,
            Extent::Smoke => &ids[..ids.len().min(batches * batch)],
        };
        Self { spec, samples, bank: most(&split.train, 2), queries: most(&split.validation, 1), batch, compute }
    }

    pub(super) fn is_due(&self, epoch: u32) -> bool {
        epoch.is_multiple_of(self.spec.every.max(1))
    }

    /// Returns the share of validation images that the neighbours of the evaluation-mode `model` classify correctly.
    pub(super) fn accuracy<M: Model>(&self, model: &M) -> Result<f64, StageError> {
        let device = self.compute.plain();
        let encode = |ids: &[u32]| {
            let rows = encode(|images| model.features(images), &self.samples, ids, self.batch, &device, || true)?;
            Ok::<_, StageError>(rows.unwrap_or_default())
        };
        let (rows, queries) = (encode(self.bank)?, encode(self.queries)?);
        let (labels, truth) = (self.samples.labels(self.bank), self.samples.labels(self.queries));
        let length = rows.len() / labels.len().max(1);
        let KnnSpec { k, temperature, .. } = self.spec;
        let classes = self.samples.images.classes();
        let correct = Bank::new(rows, length, &labels).correct(&queries, &truth, classes, k as usize, temperature);
        Ok(correct as f64 / truth.len().max(1) as f64)
    }
}
