//! A data set's pixels in memory: decoded once, stored as bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pretext_shared::dataset::{DataSpec, Normalize, Source};
use pretext_shared::ids::ContentHash;
use pretext_shared::split::{
    Role, Split, SplitError, SplitSpec, grouped_class_counts, roles, set_test_apart, set_test_groups_apart, split,
};
use rayon::prelude::*;

use super::decode::{MAX_BYTES, decode};
use super::derived::FeatureCache;
use super::error::DataError;
use super::fit::fit;
use super::manifest::{Entry, Location, Manifest, Part, scan};
use super::procedural;
use crate::augment::Planes;
use crate::root::Folder;

/// Memory limit of the pixels of a data set, in bytes.
const MEMORY_LIMIT: u64 = 16 << 30;

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
    /// threads. If files cannot be decoded, the error names the first one in the manifest's order.
    pub fn load(data_root: &Path, source: &Source, spec: &DataSpec, cache: Option<&Path>) -> Result<Self, DataError> {
        let manifest = scan(data_root, source, cache).map_err(|error| DataError::Copy(Box::new(error)))?;
        let key = source.key();
        if manifest.facts.fingerprint != spec.fingerprint {
            let (here, planned) = (manifest.facts.fingerprint.short(), spec.fingerprint.short());
            let path = manifest.folder.map(|folder| folder.shown("")).unwrap_or_default();
            return Err(DataError::OtherCopy { key, path, here, planned });
        }
        let size = spec.image_size;
        check_memory(&key, (manifest.train.len() + manifest.test.len()) as u64, size, MEMORY_LIMIT)?;
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
        let set = |part, ids| ImageSet::read(&manifest, &pictures, part, ids, size as usize);
        let (train, test) = (set(Part::Train, train)?, set(test_part, test)?);
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

    /// Returns the training and validation samples under `spec`: by group if the data name groups, else one by one.
    pub fn split(&self, spec: SplitSpec) -> Result<Split, SplitError> {
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
        size: usize,
    ) -> Result<Self, DataError> {
        let entries = manifest.entries(part);
        let length = 3 * size * size;
        let mut images = vec![0; ids.len() * length];
        // The first error in the order of the list, so that the same file is named every time.
        let error = images
            .par_chunks_exact_mut(length)
            .zip(&ids)
            .find_map_first(|(out, id)| pictures.read(part, entries[*id as usize], size, out).err());
        if let Some(error) = error {
            return Err(error);
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

/// The source of the pictures.
enum Pictures<'a> {
    /// Image files, read one after the other.
    Files(&'a Manifest, &'a Folder),
    /// Binary files, read whole, in the order of [`Manifest::files`].
    Records(&'a Manifest, &'a Folder, Vec<Vec<u8>>),
    /// The program itself, which draws them from the seed.
    Drawn(u64),
}

impl<'a> Pictures<'a> {
    fn open(manifest: &'a Manifest, source: &Source) -> Result<Self, DataError> {
        match (source, &manifest.folder) {
            (Source::Procedural(procedural), _) => Ok(Self::Drawn(procedural.seed)),
            (Source::ImageFolder { .. }, Some(folder)) => Ok(Self::Files(manifest, folder)),
            (Source::Cifar10 { .. } | Source::Cifar100 { .. } | Source::Idx { .. }, Some(folder)) => {
                let content = |file| read_unchanged(manifest, folder, file).map(|(_, bytes)| bytes);
                let contents = (0..manifest.files.len()).map(content).collect::<Result<_, _>>()?;
                Ok(Self::Records(manifest, folder, contents))
            }
            (source, None) => unreachable!("the manifest of {} has no folder", source.key()),
        }
    }

    /// Writes the picture of `entry` as `[3, size, size]` to `out`.
    fn read(&self, part: Part, entry: Entry, size: usize, out: &mut [u8]) -> Result<(), DataError> {
        match (self, entry.location) {
            (Self::Files(manifest, folder), Location::File(file)) => {
                let (path, bytes) = read_unchanged(manifest, folder, file as usize)?;
                let picture = decode(&bytes).map_err(|reason| DataError::Decode { path, reason })?;
                fit(Planes { data: &picture.data, height: picture.height, width: picture.width }, size, out);
            }
            (Self::Records(manifest, folder, contents), Location::Record { file, record }) => {
                let listed = &manifest.files[file as usize];
                let layout = listed.layout.expect("files with records have a layout");
                let data = layout.planes(&folder.shown(&listed.path), &contents[file as usize], record)?;
                fit(Planes { data: &data, height: layout.height, width: layout.width }, size, out);
            }
            (Self::Drawn(seed), Location::Drawn(index)) => {
                procedural::draw(procedural::Subject { seed: *seed, part, class: entry.label, index }, size, out);
            }
            (_, location) => unreachable!("{location:?} in a manifest of another source"),
        }
        Ok(())
    }
}

/// Returns a file's path and content, if the content still matches the manifest.
fn read_unchanged(manifest: &Manifest, folder: &Folder, file: usize) -> Result<(PathBuf, Vec<u8>), DataError> {
    let listed = &manifest.files[file];
    let path = folder.shown(&listed.path);
    if listed.layout.is_none() && listed.class.is_some() && listed.bytes > MAX_BYTES {
        let reason = format!("its length is {} bytes, more than {} MiB", listed.bytes, MAX_BYTES >> 20);
        return Err(DataError::Decode { path, reason });
    }
    let bytes = folder.read(&listed.path)?;
    // Hashing costs little compared with decoding, and finds changes that size and time do not show.
    if ContentHash::of(&bytes) == listed.hash { Ok((path, bytes)) } else { Err(DataError::Changed { path }) }
}

/// Returns the training and test ids of a data set whose test images are taken from each training class.
fn set_apart(manifest: &Manifest, test_fraction: f64) -> (Vec<u32>, Vec<u32>) {
    if let Some(groups) = &manifest.groups {
        let apart = set_test_groups_apart(&manifest.facts.groups, test_fraction);
        let tested = |id: &u32| apart[groups.of(&manifest.train[*id as usize]) as usize];
        return (0..manifest.train.len() as u32).partition(|id| !tested(id));
    }
    let mut members = vec![Vec::new(); manifest.facts.classes.len()];
    (0u32..).zip(&manifest.train).for_each(|(id, entry)| members[entry.label as usize].push(id));
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (class, members) in members.iter().enumerate() {
        let (stay, leave) = set_test_apart(class, members, test_fraction);
        train.extend(stay);
        test.extend(leave);
    }
    train.sort_unstable();
    test.sort_unstable();
    (train, test)
}

fn check_memory(key: &str, images: u64, size: u32, limit: u64) -> Result<(), DataError> {
    let image = 3 * u64::from(size) * u64::from(size);
    match images.checked_mul(image) {
        Some(bytes) if bytes <= limit => Ok(()),
        bytes => {
            Err(DataError::TooLarge { key: key.to_owned(), images, size, bytes: bytes.unwrap_or(u64::MAX), limit })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use pretext_shared::dataset::Procedural;
    use pretext_shared::split::Fraction;

    use super::*;
    use crate::image_folder::tests::write_png;

    fn spec(manifest: &Manifest, test_fraction: Option<f64>) -> DataSpec {
        DataSpec {
            fingerprint: manifest.facts.fingerprint,
            classes: manifest.facts.classes.len() as u32,
            image_size: 4,
            normalize: Normalize::Train,
            test_fraction,
        }
    }

    fn folder(path: &str, test_fraction: Option<f64>) -> Source {
        Source::ImageFolder { path: path.to_owned(), test_fraction, groups: None }
    }

    fn load(root: &Path, source: &Source, test_fraction: Option<f64>) -> Result<Dataset, DataError> {
        let manifest = scan(root, source, None)?;
        Dataset::load(root, source, &spec(&manifest, test_fraction), None)
    }

    #[test]
    fn an_image_folder_becomes_planes_with_labels() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let at = |path: &str| root.path().join("set").join(path);
        write_png(&at("train/a/0.png"), [0, 10, 255]);
        write_png(&at("train/b/0.png"), [255, 30, 255]);
        write_png(&at("test/b/0.png"), [7, 8, 9]);
        let source = folder("set", None);
        let data = load(root.path(), &source, None).expect("a whole data set");
        assert_eq!((data.train.members(), data.test.members()), (vec![vec![0], vec![1]], vec![vec![], vec![0]]));
        assert_eq!(data.train.image(1), [[255; 16], [30; 16], [255; 16]].concat());
        assert_eq!((data.test.label(0), data.test.path_of(0)), (1, "test/b/0.png".to_owned()));
        // Over the training images only; the third channel does not vary.
        let (mean, std) = data.normalization(&Normalize::Train);
        assert_eq!((mean, std), ([0.5, 20.0 / 255.0, 1.0], [0.5, 10.0 / 255.0, 1.0]));
        assert_eq!(data.normalization(&Normalize::None), ([0.0; 3], [1.0; 3]));
        assert!(matches!(load(root.path(), &source, Some(0.5)), Err(DataError::TwoTests { .. })));
    }

    #[test]
    fn the_fingerprint_covers_names_and_content_but_not_the_place() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for set in ["one", "two"] {
            for (class, value) in [("a", 1), ("b", 2)] {
                write_png(&root.path().join(set).join("train").join(class).join("0.png"), [value; 3]);
                write_png(&root.path().join(set).join("test").join(class).join("0.png"), [value; 3]);
            }
        }
        let manifest = |set| scan(root.path(), &folder(set, None), None).expect("a whole data set");
        let planned = manifest("one");
        assert_eq!(planned.facts.fingerprint, manifest("two").facts.fingerprint);
        let image = root.path().join("two/test/b/0.png");
        fs::rename(&image, image.with_file_name("1.png")).expect("a file");
        let renamed = manifest("two").facts.fingerprint;
        assert_ne!(planned.facts.fingerprint, renamed);
        write_png(&image.with_file_name("1.png"), [3; 3]);
        let changed = manifest("two").facts.fingerprint;
        assert_ne!(renamed, changed);
        let error = Dataset::load(root.path(), &folder("two", None), &spec(&planned, None), None)
            .expect_err("a mistake")
            .to_string();
        assert!(error.contains(&planned.facts.fingerprint.short()) && error.contains(&changed.short()), "{error}");
    }

    #[test]
    fn a_file_that_does_not_decode_is_named() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for class in ["a", "b"] {
            write_png(&root.path().join(format!("set/train/{class}/0.png")), [1; 3]);
            write_png(&root.path().join(format!("set/test/{class}/0.png")), [1; 3]);
        }
        fs::write(root.path().join("set/train/b/bad.jpg"), b"\xff\xd8\xff\xe0 not a picture").expect("a file");
        fs::write(root.path().join("set/train/b/worse.png"), b"").expect("a file");
        let error = load(root.path(), &folder("set", None), None).expect_err("a mistake").to_string();
        assert!(error.contains("set/train/b/bad.jpg cannot be decoded"), "{error}");
    }

    #[test]
    fn a_cache_that_is_wrong_cannot_pass_for_the_files() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let cache = root.path().join("cache.json");
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let image = |class: &str| root.path().join(format!("set/{class}/0.png"));
        let write = |class: &str, value: u8| {
            write_png(&image(class), [value; 3]);
            fs::File::options().write(true).open(image(class)).and_then(|f| f.set_modified(long_ago)).expect("a time");
        };
        write("a", 1);
        write("b", 2);
        let source = folder("set", Some(0.5));
        let first = scan(root.path(), &source, Some(&cache)).expect("a whole data set");
        // New content of the same length and time: the cache cannot see the change, but loading does.
        write("b", 3);
        let second = scan(root.path(), &source, Some(&cache)).expect("a whole data set");
        assert_eq!(first.facts.fingerprint, second.facts.fingerprint, "the second scan reads no image");
        let error =
            Dataset::load(root.path(), &source, &spec(&second, Some(0.5)), Some(&cache)).expect_err("a mistake");
        assert!(matches!(&error, DataError::Changed { path } if path.ends_with("set/b/0.png")), "{error}");
    }

    #[test]
    fn images_set_apart_for_testing_are_in_no_split() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for i in 0..10u8 {
            write_png(&root.path().join(format!("set/a/{i}.png")), [i; 3]);
            write_png(&root.path().join(format!("set/b/{i}.png")), [100 + i; 3]);
        }
        let source = folder("set", Some(0.2));
        let data = load(root.path(), &source, Some(0.2)).expect("a whole data set");
        assert_eq!((data.train.len(), data.test.len()), (16, 4));
        assert!(data.test.ids().iter().all(|id| !data.train.ids().contains(id)));
        // Every id leads to its own picture and path, in both parts.
        for set in [&data.train, &data.test] {
            for id in set.ids() {
                let value = if *id < 10 { *id as u8 } else { 90 + *id as u8 };
                assert_eq!((set.image(*id)[0], set.label(*id)), (value, u32::from(*id >= 10)));
                assert!(set.path_of(*id).ends_with(&format!("/{}.png", id % 10)));
            }
        }
        let parts = data.train.split(SplitSpec { seed: 1, fraction: Fraction::ALL }).expect("enough images");
        assert_eq!(parts.train.len() + parts.validation.len(), 16);
        let kept: u32 = data.train.ids().iter().map(|id| u32::from(data.train.image(*id)[0])).sum();
        let (mean, _) = data.normalization(&Normalize::Train);
        assert!((mean[0] - kept as f32 / 16.0 / 255.0).abs() < 1e-6);
        assert!(matches!(load(root.path(), &source, None), Err(DataError::NoTest { .. })));
    }

    #[test]
    fn drawn_pictures_load_without_any_file() {
        let source = Source::Procedural(Procedural { train_per_class: 3, test_per_class: 2, seed: 9 });
        let data = load(Path::new("nowhere"), &source, None).expect("nothing to read");
        assert_eq!((data.train.len(), data.test.len(), data.classes.len()), (9, 6, 3));
        assert_ne!(data.train.image(0), data.test.image(0), "the parts are drawn apart");
    }

    #[test]
    fn too_many_pixels_are_refused_before_memory_is_taken() {
        assert!(check_memory("k", 100_000, 224, MEMORY_LIMIT).is_ok());
        let error = check_memory("image-folder:big", 200_000, 224, MEMORY_LIMIT).expect_err("a mistake").to_string();
        assert!(error.contains("image-folder:big") && error.contains("29 GiB") && error.contains("16 GiB"), "{error}");
        assert!(check_memory("k", u64::MAX, 224, MEMORY_LIMIT).is_err());
    }

    #[test]
    fn cifar10_as_jpeg_files_has_ten_classes() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
        if !root.join("cifar10").is_dir() {
            println!("skipped: there is no {}", root.join("cifar10").display());
            return;
        }
        let manifest = scan(&root, &folder("cifar10", None), None).expect("a whole data set");
        assert_eq!((&manifest.facts.train[..], &manifest.facts.test[..]), (&[1000; 10][..], &[200; 10][..]));
        assert_eq!(manifest.path_of(Part::Train, 0), "train/airplane/0000.jpg");
    }
}
