//! Tests of the control stages: stages from which nothing can be learned, the shortcut test, and the floor.

use burn::module::Module;
use pretext_data::ImageSet;
use pretext_data::augment::{Crop, Mirror, Resizer, grayscale};
use pretext_shared::draw::{Draw, Place, Purpose};
use pretext_shared::methods::rotation;
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::split::split;
use pretext_shared::stage::{
    Budget, CropFlip, DownstreamMode, LrSpec, PretextImages, PretextTask, StageSpec, TrainSpec,
};

use super::model_file::record;
use super::small::*;
use super::*;
use crate::methods::{Objective, Rotation, control_images};
use crate::models::{HeadSpec, Model};

/// Training images a class: 504 validate, each in four rotations.
const PER_CLASS: u32 = 840;
/// Three standard deviations of a share of .25 of 504 images. An image counts once, because its four copies may be
/// right or wrong together.
const BY_LUCK: f64 = 0.058;

fn adam(epochs: u32) -> TrainSpec {
    let lr = LrSpec::Constant { base: 3e-3 };
    TrainSpec { budget: Budget::Epochs(epochs), batch: 16, lr, ..train(ADAM) }
}

/// Rotation accuracy on the validation images after real training.
fn rotation_accuracy(images: PretextImages) -> f64 {
    let stage = Small::larger(ROTATION, PER_CLASS, adam(5)).with(|spec| {
        let StageSpec::Pretext(spec) = spec else { return };
        spec.images = images;
    });
    let (finished, _) = stage.finish();
    assert_eq!(finished.score.seen, 4 * 504);
    finished.score.accuracy
}

#[test]
fn rotation_is_learned_from_pictures_and_stays_at_chance_on_controls() {
    let pictures = rotation_accuracy(PretextImages::Given);
    println!("pictures {pictures:.3}");
    assert!(pictures > 0.6, "{pictures}");
    for images in [PretextImages::Noise, PretextImages::PreRotated] {
        let accuracy = rotation_accuracy(images);
        println!("{images:?} {accuracy:.3}");
        assert!((accuracy - 0.25).abs() < BY_LUCK, "{images:?}: {accuracy}");
    }
}

#[test]
fn simclr_learns_from_pictures_and_not_from_copies_of_one() {
    let lr = LrSpec::Constant { base: 3e-3 };
    let spec = TrainSpec { budget: Budget::Epochs(30), batch: 24, lr, ..train(ADAM) };
    let stage = Small::larger(SIMCLR, 40, spec);
    let mut data = stage.data();
    let pictures = stage.finish_on(&data).0.score;
    let first = data.train.image(data.train.ids()[0]).to_vec();
    data.train = data.train.map(|_, _, out| out.copy_from_slice(&first));
    let copies = stage.again().finish_on(&data).0.score;
    // 24 validation images are one batch: each of 48 views has one partner among 47.
    assert_eq!((pictures.seen, copies.seen), (48, 48));
    let chance = 47f64.ln();
    assert!(pictures.loss < chance - 0.2, "{pictures:?}");
    // The epoch of lowest loss was selected, so a loss slightly below chance is luck.
    assert!(copies.loss > chance - 0.1 && copies.accuracy < 0.2, "{copies:?}");
}

/// Returns the same pictures under each other's ids, and so under each other's labels.
fn shuffled(set: &ImageSet) -> ImageSet {
    let mut others = set.ids().to_vec();
    Draw::new(Place { seed: 1, purpose: Purpose::Order, epoch: 0, sample: 0, view: 0 }, 0).shuffle(&mut others);
    let other = |id: u32| others[set.ids().binary_search(&id).expect("ids of this set")];
    set.map(|id, _, out| out.copy_from_slice(set.image(other(id))))
}

#[test]
fn a_probe_learns_labels_and_not_shuffled_ones() {
    let parent = Small::larger(SIMCLR, 400, TrainSpec { batch: 32, ..adam(10) });
    let (pretext, _) = parent.finish();
    let probe = Small::downstream(DownstreamMode::Frozen, Some(&pretext), adam(20));
    let honest = probe.finish_on(&parent.data()).0.score;
    // A data set keeps its features: other pictures need another data set.
    let mut data = parent.data();
    data.train = shuffled(&data.train);
    let chance = probe.again().finish_on(&data).0.score;
    println!("labels {:.3}, shuffled {:.3}", honest.accuracy, chance.accuracy);
    assert_eq!((honest.seen, chance.seen), (240, 240));
    // Three standard deviations of a third of 240 images.
    let by_luck = 0.092;
    assert!(honest.accuracy > 1.0 / 3.0 + by_luck, "{honest:?}");
    assert!((chance.accuracy - 1.0 / 3.0).abs() < by_luck, "{chance:?}");
}

/// Returns the images without what acquisition may leave in them: colours, the rim and the finest grain.
fn degraded(set: &ImageSet) -> ImageSet {
    let size = set.size();
    let (rim, resizer) = (size / 8, Resizer::new(size));
    let crop = Crop { top: rim, left: rim, height: size - 2 * rim, width: size - 2 * rim };
    set.map(|_, image, out| {
        let mut grey = vec![0f32; image.len()];
        resizer.resized_crop(image, crop, Mirror::No, &mut grey);
        grayscale(&mut grey);
        for (plane, out) in grey.chunks_exact(size * size).zip(out.chunks_exact_mut(size * size)) {
            for (i, out) in out.iter_mut().enumerate() {
                let near = |at: usize| at.saturating_sub(1)..(at + 2).min(size);
                let window = near(i / size).flat_map(|y| near(i % size).map(move |x| y * size + x));
                let (sum, count) = window.fold((0f32, 0f32), |(sum, count), at| (sum + plane[at], count + 1.0));
                *out = (255.0 * sum / count) as u8;
            }
        }
    })
}

/// Returns the rotation accuracy of a finished pretext stage on the validation images of `images`.
fn accuracy_on(images: &ImageSet, data: &Dataset, finished: &Finished) -> f64 {
    let device = Compute::cpu().plain();
    let (_, network) = load(&finished.files[&ArtifactKind::Model], &encoder(), &device).expect("its own model");
    let (mean, std) = data.normalization(&pretext_shared::dataset::Normalize::Train);
    let samples = Samples { images, mean, std, seed: 5 };
    let rotation = Rotation { samples, augment: AUGMENT };
    let ids = split(&images.members(), all_labels()).expect("a split").validation;
    let correct = ids.chunks(32).map(|ids| {
        let (inputs, labels) = rotation.validation(ids).upload(&device);
        rotation.score(network.forward(inputs), labels).correct.into_scalar::<i64>()
    });
    correct.sum::<i64>() as f64 / (4 * ids.len()) as f64
}

#[test]
fn what_is_learned_from_pictures_survives_degrading_them_and_a_shortcut_does_not() {
    let augment = CropFlip { padding: 0, flip: true };
    let stage = Small::larger(PretextTask::Rotation(rotation::Task { augment }), 300, adam(5));
    let mut data = stage.data();
    let learned = stage.finish_on(&data).0;
    let (whole, kept) = (learned.score.accuracy, accuracy_on(&degraded(&data.train), &data, &learned));
    // Noise with a bright line along the upper rim, as a scanner may leave it: only the line shows the rotation.
    let noise = control_images(&data.train, PretextImages::Noise, 3).expect("other images");
    data.train = noise.map(|_, image, out| {
        out.copy_from_slice(image);
        out.chunks_exact_mut(noise.size() * noise.size()).for_each(|plane| plane[..noise.size()].fill(255));
    });
    let other = stage.again();
    let cheated = other.finish_on(&data).0;
    let (solved, lost) = (cheated.score.accuracy, accuracy_on(&degraded(&data.train), &data, &cheated));
    println!("pictures {whole:.3}, degraded {kept:.3}; a shortcut {solved:.3}, degraded {lost:.3}");
    // 180 images validate: three standard deviations of a share of .25 are .097. Degraded pictures were at .51.
    assert!(whole > 0.6 && kept > 0.40, "{whole}, degraded {kept}");
    assert!(solved > 0.95 && (lost - 0.25).abs() < 0.097, "{solved}, degraded {lost}");
}

#[test]
fn the_floor_is_a_head_on_initial_weights() {
    let stage = Small::downstream(DownstreamMode::Frozen, None, train(ADAM));
    let (finished, _) = stage.finish();
    let device = Compute::cpu().plain();
    let path = &finished.files[&ArtifactKind::Model];
    let (_, network) = load(path, &encoder(), &device).expect("its own model");
    let initial = Network::new(&encoder(), &HeadSpec::Linear { outputs: 3 }, 5, &device);
    let bytes = |network: &Network| record(&network.encoder.valid(), "encoder").expect("a record");
    // Weights and running statistics.
    assert!(bytes(&network) == bytes(&initial));
    let head = |network: &Network| record(&network.head.valid(), "head").expect("a record");
    assert!(head(&network) != head(&initial), "the head learns");
}
