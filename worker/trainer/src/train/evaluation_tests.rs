//! Tests of the uses of a representation: heads, blocks, the monitor.

use pretext_shared::outcome::ArtifactKind;
use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::stage::{DownstreamHead, DownstreamMode, EncoderSpec, KnnSpec, StageSpec};

use super::model_file::record;
use super::small::*;
use super::*;
use crate::models::HeadSpec;

fn encoder_bytes(finished: &Finished, spec: &EncoderSpec) -> Vec<u8> {
    let path = &finished.files[&ArtifactKind::Model];
    let encoder = load_encoder(path, spec, &Compute::cpu().plain()).expect("it fits");
    record(&encoder, "encoder").expect("a record")
}

#[test]
fn a_head_of_two_layers_trains_and_is_tested() {
    let parent = Small::pretext(SIMCLR, train(ADAM));
    let (pretext, _) = parent.finish();
    for mode in [DownstreamMode::FineTune, DownstreamMode::Frozen] {
        let stage = Small::downstream(mode, Some(&pretext), train(ADAM)).with(|spec| {
            let StageSpec::Downstream(spec) = spec else { return };
            spec.head = DownstreamHead::Mlp;
        });
        let (downstream, _) = stage.finish();
        let path = &downstream.files[&ArtifactKind::Model];
        let (description, _) = load(path, &encoder(), &Compute::cpu().plain()).expect("its own model");
        assert_eq!(description.head, HeadSpec::Mlp { outputs: 3 });
        let frozen = encoder_bytes(&downstream, &encoder()) == encoder_bytes(&pretext, &encoder());
        assert_eq!(frozen, mode == DownstreamMode::Frozen);
        assert_eq!(Small::test(&downstream).finish().0.score.seen, 21);
    }
}

#[test]
fn a_probe_of_a_block_has_that_block_of_the_parent() {
    let parent = Small::pretext(ROTATION, train(ADAM));
    let (pretext, _) = parent.finish();
    let first = EncoderSpec::SmallCnn { width: 6, blocks: 1 };
    let stage = Small::downstream(DownstreamMode::Frozen, Some(&pretext), train(ADAM)).with(|spec| {
        let StageSpec::Downstream(spec) = spec else { return };
        spec.encoder = first.clone();
    });
    let (downstream, _) = stage.finish();
    assert!(encoder_bytes(&downstream, &first) == encoder_bytes(&pretext, &first));
    let test = Small::test(&downstream).with(|spec| {
        let StageSpec::Test(spec) = spec else { return };
        spec.encoder = first.clone();
    });
    assert_eq!(test.finish().0.score.seen, 21);
}

#[test]
fn the_monitor_measures_and_changes_nothing() {
    let plain = Small::pretext(ROTATION, train(ADAM));
    let watched = plain.again().with(|spec| {
        let StageSpec::Pretext(spec) = spec else { return };
        spec.knn = Some(KnnSpec { k: 5, temperature: 0.1, every: 2 });
    });
    let (without, reports) = plain.finish();
    let (with, watched_reports) = watched.finish();
    assert!(model(&with) == model(&without));
    let is_knn = |point: &Point| point.metric == Metric::KnnAccuracy;
    let (knn, rest): (Vec<Point>, Vec<Point>) = points(&watched_reports).into_iter().partition(is_knn);
    assert_eq!(rest, points(&reports));
    // Three epochs, every second of which is monitored; nine validation images.
    let [point] = &knn[..] else { panic!("{knn:?}") };
    assert_eq!((point.part, point.epoch, point.step), (Part::Validation, 2, 10));
    assert!((point.value * 9.0 - (point.value * 9.0).round()).abs() < 1e-9 && (0.0..=1.0).contains(&point.value));
}

#[test]
fn heads_share_the_features_of_their_encoder() {
    let parent = Small::pretext(ROTATION, train(ADAM));
    let (pretext, _) = parent.finish();
    let (linear, other) = (train(ADAM), train(SGD));
    let first = Small::downstream(DownstreamMode::Frozen, Some(&pretext), linear);
    let second = Small::downstream(DownstreamMode::Frozen, Some(&pretext), other);
    let data = first.data();
    let (_, questions) = first.finish_on(&data);
    let (shared, fewer) = second.finish_on(&data);
    // One question per step, and one per batch of features (42 images by 8) if they are computed.
    assert_eq!((questions, fewer), (6 + 15, 15));
    assert!(model(&shared) == model(&second.again().finish().0));
    // Another encoder has other features.
    let floor = Small::downstream(DownstreamMode::Frozen, None, train(SGD));
    assert_eq!(floor.finish_on(&data).1, 6 + 15);
}
