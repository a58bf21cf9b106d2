//! Controls: stages from which nothing can be learned, and the floor.

use burn::module::Module;
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::stage::{Budget, DownstreamMode, LrSpec, PretextImages, StageSpec, TrainSpec};

use super::model_file::record;
use super::small::*;
use super::*;
use crate::models::HeadSpec;

/// Rotation accuracy on the validation images after real training: 720 images train, 180 validate, each in four rotations.
fn rotation_accuracy(images: PretextImages) -> f64 {
    let lr = LrSpec::Constant { base: 3e-3 };
    let train = TrainSpec { budget: Budget::Epochs(5), batch: 16, lr, ..train(ADAM) };
    let stage = Small::larger(ROTATION, 300, train).with(|spec| {
        let StageSpec::Pretext(spec) = spec else { return };
        spec.images = images;
    });
    let (finished, _) = stage.finish();
    assert_eq!(finished.score.seen, 4 * 180);
    finished.score.accuracy
}

#[test]
fn rotation_is_learned_from_pictures_and_stays_at_chance_on_controls() {
    let pictures = rotation_accuracy(PretextImages::Given);
    assert!(pictures > 0.6, "{pictures}");
    // The four copies of an image stand and fall together, so 180 samples of chance .25: four standard deviations.
    for images in [PretextImages::Noise, PretextImages::PreRotated] {
        let accuracy = rotation_accuracy(images);
        assert!((accuracy - 0.25).abs() < 0.13, "{images:?}: {accuracy}");
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
    // The epoch of lowest loss was chosen, so a little below is luck.
    assert!(copies.loss > chance - 0.1 && copies.accuracy < 0.2, "{copies:?}");
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
