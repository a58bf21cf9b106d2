//! A data set's pixels in memory: decoded once, stored as bytes.

use std::path::Path;
use std::sync::Arc;

use pretext_shared::dataset::{DataSpec, Fit, Normalize, Source};
use pretext_shared::inventory::{MOST_PIXELS, most_pixels};
use pretext_shared::split::{
    Role, Split, SplitError, SplitSpec, Untrained, grouped_class_counts, roles, set_test_apart, set_test_groups_apart,
    share_of_validation, split, split_parted, training_groups,
};
use rayon::prelude::*;

use super::derived::FeatureCache;
use super::error::DataError;
use super::manifest::{Entry, Manifest, Part, scan};
use super::memory;
use super::pixels::Pictures;

/// A data set, ready for training.
#[derive(Debug)]
pub struct Dataset {
    /// Class names in label order.
    pub classes: Vec<String>,
    /// Training images, without those set apart for the test.
    pub train: ImageSet,
    /// Test images.
    pub test: ImageSet,
    /// Features of these images.
    pub features: FeatureCache,
}

/// Images of one part, each under its sample id from the manifest.
#[derive(Debug, Clone)]
pub struct ImageSet {
    /// `[n, 3, size, size]`.
    images: Vec<u8>,
    labels: Vec<u32>,
    /// Sample ids, ascending; not contiguous if test images were set apart.
    ids: Vec<u32>,
    size: usize,
    classes: usize,
    /// The manifest's list that the ids index.
    part: Part,
    manifest: Arc<Manifest>,
}

impl Dataset {
    /// Reads `source` below `data_root` as `spec` asks for it. Scans the source (`cache` as in [`scan`]), refuses a
    /// copy with another fingerprint, sets test images apart if the spec says so, and decodes everything on all
    /// threads. If files cannot be decoded, the error counts them and names the first ones in the manifest's order.
    pub fn load(data_root: &Path, source: &Source, spec: &DataSpec, cache: Option<&Path>) -> Result<Self, DataError> {
        let manifest = scan(data_root, source, cache).map_err(|error| DataError::Copy(Box::new(error)))?;
        let key = source.key();
        if manifest.facts.fingerprint != spec.fingerprint {
            let (here, planned) = (manifest.facts.fingerprint.short(), spec.fingerprint.short());
            let path = manifest.folder.map(|folder| folder.shown("")).unwrap_or_default();
            return Err(DataError::OtherCopy { key, path, here, planned });
        }
        let size = spec.image_size;
        let images = (manifest.train.len() + manifest.test.len()) as u64;
        check_memory(&key, images, size, memory::limit().map_or(MOST_PIXELS, most_pixels))?;
        let manifest = Arc::new(manifest);
        let all = |part: Part| (0..manifest.entries(part).len() as u32).collect::<Vec<_>>();
        let (train, test, test_part) = match (spec.test_fraction, manifest.test.is_empty()) {
            (None, false) => (all(Part::Train), all(Part::Test), Part::Test),
            (Some(fraction), true) => {
                let (train, test) = set_apart(&manifest, fraction);
                (train, test, Part::Train)
            }
            (None, true) => return Err(DataError::NoTest { key }),
            (Some(_), false) => return Err(DataError::TwoTests { key }),
        };
        if test.is_empty() {
            return Err(DataError::NoTest { key });
        }
        let pictures = Pictures::open(&manifest, source)?;
        let set = |part, ids| ImageSet::read(&manifest, &pictures, part, ids, (size as usize, spec.fit));
        let (train, test) = whole(&manifest, set(Part::Train, train), set(test_part, test))?;
        Ok(Self { classes: manifest.facts.classes.clone(), train, test, features: FeatureCache::default() })
    }

    /// Returns the mean and standard deviation of each channel that `normalize` asks for, for pixels in [0, 1]. `train`
    /// takes them over all training images and never over test images. A channel without variation has a standard
    /// deviation of 1.
    pub fn normalization(&self, normalize: &Normalize) -> ([f32; 3], [f32; 3]) {
        match normalize {
            Normalize::Train => self.train.mean_and_std(),
            Normalize::Given { mean, std } => (*mean, *std),
            Normalize::None => ([0.0; 3], [1.0; 3]),
        }
    }
}

impl ImageSet {
    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Returns the height and width of the images, in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Returns the sample ids, ascending.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Returns the image `[3, size, size]` of sample `id`, which must be one of [`Self::ids`].
    pub fn image(&self, id: u32) -> &[u8] {
        let length = 3 * self.size * self.size;
        &self.images[self.row(id) * length..][..length]
    }

    /// Returns the class of sample `id`, which must be one of [`Self::ids`].
    pub fn label(&self, id: u32) -> u32 {
        self.labels[self.row(id)]
    }

    /// Returns the sample ids of each class, ascending, for [`pretext_shared::split::split`].
    pub fn members(&self) -> Vec<Vec<u32>> {
        let mut members = vec![Vec::new(); self.classes];
        self.ids.iter().zip(&self.labels).for_each(|(id, label)| members[*label as usize].push(*id));
        members
    }

    /// Returns the training and validation samples under `spec`: by group if the data name groups, else one by one. A
    /// validation part validates as a whole, or the share of it that the fraction takes.
    pub fn split(&self, spec: SplitSpec) -> Result<Split, SplitError> {
        if let Some(first) = self.manifest.validating {
            return self.split_parted(first, spec);
        }
        let Some(groups) = &self.manifest.groups else { return Ok(split(&self.members(), spec)?) };
        let entries = self.manifest.entries(self.part);
        let counts = groups.counts(self.ids.iter().map(|id| &entries[*id as usize]), self.classes);
        grouped_class_counts(&counts, spec)?;
        let roles = roles(&counts, spec);
        let mut split = Split::default();
        for id in &self.ids {
            match roles[groups.of(&entries[*id as usize]) as usize] {
                Role::Train => split.train.push(*id),
                Role::Validation => split.validation.push(*id),
                Role::Unused => {}
            }
        }
        Ok(split)
    }

    /// Splits like [`Self::split`]; samples from `first` on are those of the validation part.
    fn split_parted(&self, first: u32, spec: SplitSpec) -> Result<Split, SplitError> {
        let (mut train, mut validation) = (self.members(), vec![Vec::new(); self.classes]);
        for (train, validation) in train.iter_mut().zip(&mut validation) {
            *validation = train.split_off(train.partition_point(|id| *id < first));
        }
        let Some(groups) = &self.manifest.groups else { return Ok(split_parted(&train, &validation, spec)?) };
        let entries = self.manifest.entries(self.part);
        let of = |id: &u32| groups.of(&entries[*id as usize]);
        let ids = || self.ids.iter().copied().filter(|id| *id < first);
        let counts = groups.counts(ids().map(|id| &entries[id as usize]), self.classes);
        let trains = training_groups(&counts, spec);
        let taken: Vec<u32> = ids().filter(|id| trains[of(id) as usize]).collect();
        for (class, members) in train.iter().enumerate() {
            if !members.iter().any(|id| trains[of(id) as usize]) {
                return Err(Untrained { class, fraction: spec.fraction, available: members.len() }.into());
            }
        }
        Ok(Split { train: taken, validation: share_of_validation(&validation, spec) })
    }

    /// Returns the name of the group of sample `id`, which must be one of [`Self::ids`].
    pub fn group_of(&self, id: u32) -> Option<&str> {
        let groups = self.manifest.groups.as_ref()?;
        Some(groups.name(groups.of(&self.manifest.entries(self.part)[id as usize])))
    }

    /// Returns the same samples and classes with other pictures. `draw` gets each sample's id and image, and fills the
    /// new image.
    pub fn map(&self, draw: impl Fn(u32, &[u8], &mut [u8]) + Sync) -> Self {
        let length = 3 * self.size * self.size;
        let mut images = vec![0; self.images.len()];
        let pairs = images.par_chunks_exact_mut(length).zip(self.images.par_chunks_exact(length));
        pairs.zip(&self.ids).for_each(|((out, image), id)| draw(*id, image, out));
        let (labels, ids, manifest) = (self.labels.clone(), self.ids.clone(), Arc::clone(&self.manifest));
        Self { images, labels, ids, manifest, ..*self }
    }

    /// Returns how messages and lists call sample `id`: its path in the data set.
    pub fn path_of(&self, id: u32) -> String {
        self.manifest.path_of(self.part, id)
    }

    /// Returns the row of sample `id`. Ids are contiguous unless test images were set apart.
    fn row(&self, id: u32) -> usize {
        match self.ids.get(id as usize) {
            Some(found) if *found == id => id as usize,
            _ => self.ids.binary_search(&id).expect("ids come from this set"),
        }
    }

    fn read(
        manifest: &Arc<Manifest>,
        pictures: &Pictures,
        part: Part,
        ids: Vec<u32>,
        (size, fit): (usize, Fit),
    ) -> Result<Self, Vec<DataError>> {
        let entries = manifest.entries(part);
        let length = 3 * size * size;
        let mut images = Vec::new();
        let bytes = ids.len() * length;
        // An allocation that fails elsewhere stops the process with a signal.
        if images.try_reserve_exact(bytes).is_err() {
            let (key, images, pixels) = (manifest.facts.key.clone(), ids.len() as u64, size as u32);
            let limit = memory::limit().map_or(MOST_PIXELS, most_pixels);
            return Err(vec![DataError::TooLarge { key, images, pixels, bytes: bytes as u64, limit }]);
        }
        images.resize(bytes, 0);
        let wanted: Vec<Entry> = ids.iter().map(|id| entries[*id as usize]).collect();
        // In the order of the list, so that the same files are named every time.
        let mut errors = Vec::new();
        for run in pictures.runs(&wanted).into_iter().filter(|run| !run.is_empty()) {
            let batch = pictures.batch(wanted[run.start]).map_err(|error| vec![error])?;
            let of_run = images[run.start * length..run.end * length]
                .par_chunks_exact_mut(length)
                .zip(&wanted[run])
                .filter_map(|(out, entry)| pictures.read(&batch, part, *entry, (size, fit), out).err())
                .collect::<Vec<DataError>>();
            errors.extend(of_run);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let labels = ids.iter().map(|id| entries[*id as usize].label).collect();
        let classes = manifest.facts.classes.len();
        Ok(Self { images, labels, ids, size, classes, part, manifest: Arc::clone(manifest) })
    }

    /// Sums bytes and their squares exactly, so that the result does not depend on threads.
    fn mean_and_std(&self) -> ([f32; 3], [f32; 3]) {
        let plane = self.size * self.size;
        let sums = self
            .images
            .par_chunks_exact(3 * plane)
            .map(|image| {
                let mut sums = [(0u64, 0u64); 3];
                for (sums, plane) in sums.iter_mut().zip(image.chunks_exact(plane)) {
                    for value in plane.iter().map(|byte| u64::from(*byte)) {
                        *sums = (sums.0 + value, sums.1 + value * value);
                    }
                }
                sums
            })
            .reduce(|| [(0, 0); 3], |a, b| std::array::from_fn(|i| (a[i].0 + b[i].0, a[i].1 + b[i].1)));
        let pixels = (self.len() * plane).max(1) as u64;
        let mean = sums.map(|(sum, _)| (sum as f64 / pixels as f64 / 255.0) as f32);
        let std = sums.map(|(sum, squares)| {
            // n² times the variance, exact in integers.
            let spread = u128::from(pixels) * u128::from(squares) - u128::from(sum) * u128::from(sum);
            if spread == 0 { 1.0 } else { ((spread as f64).sqrt() / pixels as f64 / 255.0) as f32 }
        });
        (mean, std)
    }
}

/// Returns both parts, or one error for all pictures that could not be read.
fn whole(
    manifest: &Manifest,
    train: Result<ImageSet, Vec<DataError>>,
    test: Result<ImageSet, Vec<DataError>>,
) -> Result<(ImageSet, ImageSet), DataError> {
    let errors: Vec<DataError> = match (train, test) {
        (Ok(train), Ok(test)) => return Ok((train, test)),
        (train, test) => train.err().into_iter().chain(test.err()).flatten().collect(),
    };
    let folder = manifest.folder.as_ref().map(|folder| folder.shown("")).unwrap_or_default();
    Err(DataError::of_all(errors, &folder, manifest.train.len() + manifest.test.len()))
}

/// Returns the training and test ids of a data set whose test images are taken from each training class.
pub(super) fn set_apart(manifest: &Manifest, test_fraction: f64) -> (Vec<u32>, Vec<u32>) {
    // A validation part stays whole.
    let drawn = manifest.validating.unwrap_or(manifest.train.len() as u32);
    if let Some(groups) = &manifest.groups {
        let apart = set_test_groups_apart(&manifest.facts.groups, test_fraction);
        let tested = |id: &u32| *id < drawn && apart[groups.of(&manifest.train[*id as usize]) as usize];
        return (0..manifest.train.len() as u32).partition(|id| !tested(id));
    }
    let mut members = vec![Vec::new(); manifest.facts.classes.len()];
    (0..drawn).zip(&manifest.train).for_each(|(id, entry)| members[entry.label as usize].push(id));
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (class, members) in members.iter().enumerate() {
        let (stay, leave) = set_test_apart(class, members, test_fraction);
        train.extend(stay);
        test.extend(leave);
    }
    train.extend(drawn..manifest.train.len() as u32);
    train.sort_unstable();
    test.sort_unstable();
    (train, test)
}

/// Refuses more bytes than `limit`, before any memory is taken: a process that gets no memory is killed without a word.
fn check_memory(key: &str, images: u64, pixels: u32, limit: u64) -> Result<(), DataError> {
    let bytes = images.saturating_mul(3 * u64::from(pixels) * u64::from(pixels));
    match bytes <= limit {
        true => Ok(()),
        false => Err(DataError::TooLarge { key: key.to_owned(), images, pixels, bytes, limit }),
    }
}

#[cfg(test)]
mod tests;
