//! A cache of decoded data sets, kept between stages.

use std::sync::Arc;

use pretext_data::{DataError, Dataset};
use pretext_shared::ids::Fingerprint;
use pretext_shared::trainer::Run;

/// Number of data sets that are kept. Stages of one sweep share one data set.
const KEPT: usize = 2;

/// Everything that determines a data set's pixels and parts.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    fingerprint: Fingerprint,
    size: u32,
    test_fraction: Option<f64>,
}

/// The most recently used data sets, newest last.
#[derive(Default)]
pub(super) struct Datasets(Vec<(Key, Arc<Dataset>)>);

impl Datasets {
    /// Returns the data set of a stage, and decodes it unless it is here already.
    pub(super) fn get(&mut self, run: &Run) -> Result<Arc<Dataset>, DataError> {
        let spec = run.stage.spec.data();
        let key = Key { fingerprint: spec.fingerprint, size: spec.image_size, test_fraction: spec.test_fraction };
        if let Some(position) = self.0.iter().position(|(known, _)| *known == key) {
            let found = self.0.remove(position);
            self.0.push(found);
        } else {
            // Make room first: memory may not hold two large data sets and a third.
            self.0.drain(..self.0.len().saturating_sub(KEPT - 1));
            let root = run.fetched.as_ref().unwrap_or(&run.data_root);
            let data = Dataset::load(root, &run.source, spec, None)?;
            self.0.push((key, Arc::new(data)));
        }
        let (_, data) = self.0.last().expect("one was just pushed");
        Ok(Arc::clone(data))
    }
}
