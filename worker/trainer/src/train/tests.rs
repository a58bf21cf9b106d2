//! Tests of whole stages through the public entry.

use burn::optim::GradientsParams;
use pretext_data::augment::{Labelled, SimclrView};
use pretext_shared::outcome::{ArtifactKind, FailureCode};
use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::stage::{
    Budget, Chances, DecayOn, DownstreamMode, Extent, KnnSpec, LrSpec, OptimizerSpec, PretextImages, StageSpec,
    TrainSpec,
};
use pretext_shared::trainer::Report;

use super::model_file::record;
use super::small::*;
use super::*;
use crate::methods::{Objective, Rotation, Simclr, Supervised};
use crate::models::{HeadSpec, Model};
use crate::optim;

fn bits(points: &[Point]) -> Vec<(Part, Metric, u32, u64, u64)> {
    points.iter().map(|p| (p.part, p.metric, p.epoch, p.step, p.value.to_bits())).collect()
}

/// Stops the stage at the given questions (one per step) and resumes it each time. Returns the points of the last
/// attempt, which begin with those of all attempts before it, and the model.
fn interrupted(stage: &Small, stops: &[u64]) -> (Vec<Point>, Vec<u8>) {
    let stage = stage.again();
    let mut before: Vec<Point> = Vec::new();
    for stop in stops {
        let (end, reports) = stage.try_run(*stop);
        let Ok(End::Stopped { step }) = end else { panic!("expected a stop: {end:?}") };
        assert!(matches!(&reports[..], [.., Report::Checkpoint { step: at, path }] if *at == step && path.exists()));
        // Nothing is in flight: every point up to the checkpoint was reported before it.
        let so_far = points(&reports);
        assert!(so_far.iter().all(|point| point.step <= step));
        assert_eq!(bits(&so_far[..before.len()]), bits(&before));
        before = so_far;
    }
    let (finished, reports) = stage.finish();
    assert!(matches!(reports[0], Report::Started { step, .. } if step > 0));
    (points(&reports), model(&finished))
}

const NESTEROV: OptimizerSpec = OptimizerSpec::Nesterov { momentum: 0.9, weight_decay: 5e-4 };
const LARS: OptimizerSpec = OptimizerSpec::Lars { momentum: 0.9, weight_decay: 1e-4, trust: 0.01 };
const ADAMW: OptimizerSpec = OptimizerSpec::AdamW { weight_decay: 0.01 };

/// Turns on the control and the monitor together.
fn noise(spec: &mut StageSpec) {
    let StageSpec::Pretext(spec) = spec else { return };
    spec.images = PretextImages::Noise;
    spec.knn = Some(KnnSpec { k: 3, temperature: 0.1, every: 1 });
}

#[test]
fn a_stopped_stage_ends_bit_for_bit_as_if_it_never_stopped() {
    let parent = Small::pretext(ROTATION, train(SGD));
    let (pretext, _) = parent.finish();
    for (name, stage) in [
        ("supervised", Small::downstream(DownstreamMode::FineTune, None, train(SGD))),
        ("fine-tuned", Small::downstream(DownstreamMode::FineTune, Some(&pretext), train(ADAM))),
        ("rotation", Small::pretext(ROTATION, train(ADAM))),
        ("rotation-jitter", Small::pretext(ROTATION_JITTER, train(SGD))),
        ("simclr", Small::pretext(SIMCLR, train(ADAM))),
        ("noise", Small::pretext(ROTATION, train(NESTEROV)).with(noise)),
        ("simclr with LARS", Small::pretext(SIMCLR, train(LARS))),
        ("supervised with AdamW", Small::downstream(DownstreamMode::FineTune, None, train(ADAMW))),
    ] {
        let (finished, reports) = stage.finish();
        let (resumed, resumed_model) = interrupted(&stage, &[3, 4, 4]);
        assert_eq!(bits(&resumed), bits(&points(&reports)), "{name}");
        assert!(resumed_model == model(&finished), "{name}: other weights");
    }
}

#[test]
fn a_stopped_probe_resumes_too() {
    let parent = Small::pretext(SIMCLR, train(ADAM));
    let (pretext, _) = parent.finish();
    let stage = Small::downstream(DownstreamMode::Frozen, Some(&pretext), train(SGD));
    let (finished, reports) = stage.finish();
    // The first six questions come while features are computed (42 images by 8).
    let (resumed, resumed_model) = interrupted(&stage, &[6 + 3, 6 + 4]);
    assert_eq!(bits(&resumed), bits(&points(&reports)));
    assert!(resumed_model == model(&finished));
}

#[test]
fn a_killed_stage_repeats_what_its_checkpoint_does_not_have() {
    let whole = Small::pretext(ROTATION, train(ADAM));
    let (finished, _) = whole.finish();
    let mut stage = whole.again();
    stage.run.checkpoint.every_seconds = 0.0;
    let (_, reports) = stage.try_run(9);
    let checkpoints: Vec<_> = reports.iter().filter(|report| matches!(report, Report::Checkpoint { .. })).collect();
    assert!(checkpoints.len() >= 8, "one per step");
    // The newest checkpoint is torn: the run resumes from the one before.
    let Some(Report::Checkpoint { path, step }) = checkpoints.last() else { panic!("there are some") };
    std::fs::write(path, b"torn").expect("written");
    let (again, reports) = stage.finish();
    assert!(matches!(reports[0], Report::Started { step: from, .. } if from + 1 == *step));
    assert!(model(&again) == model(&finished));
}

#[test]
fn threads_do_not_matter() {
    for task in [ROTATION_JITTER, SIMCLR] {
        let stage = Small::pretext(task, train(ADAM));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a small pool");
            let stage = stage.again();
            let (finished, reports) = pool.install(|| stage.finish());
            (bits(&points(&reports)), model(&finished))
        };
        assert!(with(1) == with(2));
    }
}

#[test]
fn a_frozen_encoder_does_not_move() {
    let parent = Small::pretext(ROTATION, train(SGD));
    let (pretext, _) = parent.finish();
    let encoder_of = |finished: &Finished| {
        let path = &finished.files[&ArtifactKind::Model];
        // Weights and running statistics.
        record(&load_encoder(path, &encoder(), &Compute::cpu().plain()).expect("it fits"), "encoder").expect("a record")
    };
    let before = encoder_of(&pretext);
    let probe = Small::downstream(DownstreamMode::Frozen, Some(&pretext), train(ADAM));
    let (frozen, reports) = probe.finish();
    assert!(encoder_of(&frozen) == before);
    let fine_tuned = Small::downstream(DownstreamMode::FineTune, Some(&pretext), train(SGD));
    let (moved, _) = fine_tuned.finish();
    assert!(encoder_of(&moved) != before);
    let losses: Vec<f64> = points(&reports)
        .iter()
        .filter(|point| point.part == Part::Train && point.metric == Metric::Loss)
        .map(|point| point.value)
        .collect();
    assert!(losses.len() == 3 && losses[2] < losses[0], "the head learns: {losses:?}");
}

#[test]
fn a_large_learning_rate_diverges_in_words() {
    let spec = TrainSpec { lr: LrSpec::Constant { base: 1e6 }, ..train(SGD) };
    let (end, _) = Small::pretext(ROTATION, spec).try_run(0);
    let failure = end.expect_err("a rate of a million").into_failure();
    assert_eq!(failure.code, FailureCode::Diverged);
    assert!(failure.message.contains("step ") && failure.message.contains("1e6"), "{}", failure.message);
}

#[test]
fn curves_have_every_epoch_and_count_every_sample() {
    let stage = Small::pretext(ROTATION, train(ADAM));
    let (finished, reports) = stage.finish();
    // 33 training images by 8: five steps an epoch, four views an image; 9 validation images.
    assert_eq!((finished.steps, finished.images, finished.score.seen), (15, 3 * 33 * 4, 9 * 4));
    let points = points(&reports);
    let curve = |part, metric| -> Vec<(u32, u64, f64)> {
        let of = points.iter().filter(|point| point.part == part && point.metric == metric);
        of.map(|point| (point.epoch, point.step, point.value)).collect()
    };
    for part in [Part::Train, Part::Validation] {
        let losses = curve(part, Metric::Loss);
        assert_eq!(
            losses.iter().map(|(epoch, step, _)| (*epoch, *step)).collect::<Vec<_>>(),
            [(1, 5), (2, 10), (3, 15)]
        );
    }
    // Accuracies are whole numbers of the samples seen.
    for (part, samples) in [(Part::Train, 33.0 * 4.0), (Part::Validation, 9.0 * 4.0)] {
        for (.., accuracy) in curve(part, Metric::Accuracy) {
            assert!((accuracy * samples - (accuracy * samples).round()).abs() < 1e-9);
        }
    }
    // The epoch's loss is the mean of its steps, each weighted by its samples (8, 8, 8, 8, 1).
    let steps = curve(Part::Train, Metric::StepLoss);
    assert_eq!(steps.len(), 15);
    let weighted: f64 = steps[..5].iter().zip([8.0, 8.0, 8.0, 8.0, 1.0]).map(|((.., loss), n)| loss * n).sum();
    assert!((weighted / 33.0 - curve(Part::Train, Metric::Loss)[0].2).abs() < 1e-12);
    // The rate that each step used: SimCLR's cosine with 2.5 rounded to 3 warm-up steps.
    let rates = curve(Part::Train, Metric::LearningRate);
    assert_eq!((rates[0].2, rates[3].2), (0.0, 0.01));
    // The selected epoch has the lowest validation loss.
    let losses = curve(Part::Validation, Metric::Loss);
    let best = losses.iter().min_by(|a, b| a.2.total_cmp(&b.2)).expect("three epochs");
    assert_eq!((finished.selected_epoch, finished.score.loss), (best.0, best.2));
    let split = std::fs::read_to_string(&finished.files[&ArtifactKind::Split]).expect("a sample list");
    assert_eq!(split.lines().filter(|line| line.ends_with(",train")).count(), 33);
    assert_eq!(split.lines().filter(|line| line.ends_with(",validation")).count(), 9);
}

#[test]
fn the_epoch_of_lowest_validation_loss_is_selected_wherever_it_is() {
    // With a large constant rate on 33 images, validation loss goes up and down.
    let lr = LrSpec::Constant { base: 0.02 };
    let spec = TrainSpec { budget: Budget::Epochs(12), lr, ..train(ADAM) };
    let (finished, reports) = Small::downstream(DownstreamMode::FineTune, None, spec).finish();
    let is_loss = |point: &&Point| (point.part, point.metric) == (Part::Validation, Metric::Loss);
    let points = points(&reports);
    let losses: Vec<(u32, f64)> = points.iter().filter(is_loss).map(|point| (point.epoch, point.value)).collect();
    let best = losses.iter().min_by(|a, b| a.1.total_cmp(&b.1)).expect("twelve epochs");
    assert!(losses.len() == 12 && best.0 < 12, "the last epoch is the best, which shows nothing: {losses:?}");
    assert_eq!((finished.selected_epoch, finished.score.loss), *best);
}

#[test]
fn a_budget_of_steps_may_end_in_mid_epoch() {
    let stage = Small::pretext(SIMCLR, TrainSpec { budget: Budget::Steps(6), ..train(ADAM) });
    let (finished, reports) = stage.finish();
    // Four full batches an epoch; the second epoch is cut after two. Nine validation images by 8: the ninth joins.
    assert_eq!((finished.steps, finished.images, finished.score.seen), (6, 6 * 8 * 2, 9 * 2));
    let validated = points(&reports).into_iter().filter(|p| (p.part, p.metric) == (Part::Validation, Metric::Loss));
    assert_eq!(validated.map(|p| (p.epoch, p.step)).collect::<Vec<_>>(), [(1, 4), (2, 6)]);
}

#[test]
fn the_whole_chain_and_its_rehearsal() {
    for extent in [Extent::Whole, Extent::Smoke] {
        let rehearse = |mut stage: Small| {
            stage.run.stage.extent = extent;
            stage
        };
        let whole = extent == Extent::Whole;
        let parent = rehearse(Small::pretext(SIMCLR, train(ADAM)));
        let (pretext, _) = parent.finish();
        assert_eq!(pretext.steps, if whole { 12 } else { 2 });
        for mode in [DownstreamMode::FineTune, DownstreamMode::Frozen] {
            let child = rehearse(Small::downstream(mode, Some(&pretext), train(ADAM)));
            let (downstream, _) = child.finish();
            assert_eq!((downstream.steps, downstream.score.seen), if whole { (15, 9) } else { (2, 8) });
            let grandchild = rehearse(Small::test(&downstream));
            let (test, reports) = grandchild.finish();
            assert_eq!((test.score.seen, test.steps, test.images), (21, 0, 0));
            let text = std::fs::read_to_string(&test.files[&ArtifactKind::Predictions]).expect("predictions");
            let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
            assert_eq!(rows[0], ["sample", "path", "label", "predicted", "p_0", "p_1", "p_2"]);
            let correct = rows[1..].iter().filter(|row| row[2] == row[3]).count();
            assert_eq!(test.score.accuracy, correct as f64 / 21.0);
            let loss: f64 = rows[1..]
                .iter()
                .map(|row| -row[4 + row[2].parse::<usize>().expect("a label")].parse::<f64>().expect("p").ln())
                .sum();
            assert!((loss / 21.0 - test.score.loss).abs() < 1e-5);
            let values: Vec<f64> = points(&reports).iter().map(|point| point.value).collect();
            assert_eq!(values, [test.score.loss, test.score.accuracy]);
        }
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let parent = Small::pretext(ROTATION, TrainSpec { budget: Budget::Steps(1), ..train(ADAM) });
    let (pretext, _) = parent.finish();
    let refused = |stage: &Small, words: &str| {
        let failure = stage.try_run(0).0.expect_err("it does not fit").into_failure();
        assert_eq!(failure.code, FailureCode::Invalid);
        assert!(failure.message.contains(words), "{}", failure.message);
    };
    refused(&Small::test(&pretext), "its head is Linear { outputs: 4 }, but the test needs 3 classes");
    let mut orphan = Small::downstream(DownstreamMode::Frozen, Some(&pretext), train(ADAM));
    orphan.run.parent = None;
    refused(&orphan, "was not handed over");
    let mut other = Small::downstream(DownstreamMode::FineTune, Some(&pretext), train(ADAM));
    if let StageSpec::Downstream(spec) = &mut other.run.stage.spec {
        spec.encoder = pretext_shared::stage::EncoderSpec::SmallCnn { width: 6, blocks: 3 };
    }
    refused(&other, "blocks: 2");
    refused(&Small::pretext(SIMCLR, TrainSpec { batch: 34, ..train(ADAM) }), "33 training images, batches of 34");
}

/// Returns the loss after `steps` steps of Adam on one batch, without augmentation.
fn overfit<O: Objective>(objective: &O, head: &HeadSpec, ids: &[u32], steps: usize) -> f32 {
    let device = Compute::cpu().training();
    let mut network = Network::new(&encoder(), head, 1, &device);
    let mut optimizer = optim::optimizer(&OptimizerSpec::Adam { weight_decay: 0.0 }, DecayOn::Weights);
    let batch = objective.validation(ids);
    let mut last = f32::NAN;
    for _ in 0..steps {
        let (inputs, labels) = batch.clone().upload(&device);
        let loss = objective.score(network.forward(inputs), labels).loss;
        last = loss.clone().into_scalar::<f32>();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(0.01, network, gradients);
    }
    last
}

#[test]
fn sixteen_images_are_learned_by_heart() {
    let stage = Small::pretext(ROTATION, train(ADAM));
    let data =
        Dataset::load(&stage.run.data_root, &stage.run.source, stage.run.stage.spec.data(), None).expect("drawn");
    let (mean, std) = data.normalization(&pretext_shared::dataset::Normalize::Train);
    let samples = Samples { images: &data.train, mean, std, seed: 1 };
    let ids: Vec<u32> = data.train.ids().iter().copied().step_by(2).take(16).collect();
    let supervised = Supervised { samples, augment: Labelled::new(SIZE as usize, LABELLED) };
    let loss = overfit(&supervised, &HeadSpec::Linear { outputs: 3 }, &ids, 200);
    assert!(loss < 0.01, "supervised: {loss}");
    let loss = overfit(&Rotation { samples, augment: AUGMENT }, &HeadSpec::Linear { outputs: 4 }, &ids, 200);
    assert!(loss < 0.01, "rotation: {loss}");
    let simclr =
        Simclr { samples, view: SimclrView::new(SIZE as usize, 0.5, 0.3, true, Chances::default()), temperature: 0.5 };
    let loss = overfit(&simclr, &HeadSpec::Projection { outputs: 16 }, &ids, 200);
    // ln(1 + 30 exp(-(1 + 1/15) / 0.5)): no arrangement of 16 pairs has a smaller loss.
    let optimum = 1.516f32;
    assert!((optimum - 0.001..optimum + 0.15).contains(&loss), "NT-Xent: {loss}");
}
