//! Tests of the sweep file: what is read, and what is refused.

mod any_text;

use super::{Exclusion, PretextData, SeedPair, Sweep, parse};
use crate::dataset::{Normalize, Source};
use crate::device::NumericClass;
use crate::methods::{rotation, simclr};
use crate::stage::{
    Budget, Chances, CropFlip, CycleShape, DecayOn, DownstreamHead, DownstreamMode, EncoderSpec, KnnSpec, LabelledView,
    LrSpec, Method, OptimizerSpec, PretextImages, PretextTask, ResizedFlip, Stem,
};

const GOOD: &str = "\
name: quick
dataset: {kind: procedural, train_per_class: 400, test_per_class: 200}
encoder: small-cnn
methods: [supervised, rotation]
fractions: [5%, 0.25]
lr:
  fixed: {kind: constant, base: 1e-3}
seeds: [0, 1]
pretext: {epochs: 10}
downstream: {epochs: 20}
";

fn good(from: &str, to: &str) -> Sweep {
    let text = replaced(from, to);
    parse(&text).unwrap_or_else(|errors| panic!("{}", errors.render("sweep.yaml", &text)))
}

fn replaced(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replace(from, to)
}

/// Returns all problems of a text, `LINE:COL: path: message (help)` each.
fn problems(text: &str) -> String {
    match parse(text) {
        Ok(_) => "no problem".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

/// Checks that `good` with `from` replaced is refused with a message that contains `expected`.
#[track_caller]
pub(super) fn refused_of(good: &str, from: &str, to: &str, expected: &str) {
    assert!(good.contains(from), "{from}");
    let error = parse(&good.replace(from, to)).expect_err("a mistake").to_string();
    assert!(error.contains(expected), "{error}");
}

#[track_caller]
fn refused(from: &str, to: &str, expected: &str) {
    assert_eq!(problems(&replaced(from, to)), expected);
}

#[test]
fn every_key_is_read() {
    let text = "\
name: quickstart   # a comment
dataset: &data
  kind: cifar10
  path: cifar10
  image_size: 32
  normalize: {mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}
encoder: {kind: resnet18, stem: 3x3}
methods: [supervised, rotation, rotation-jitter, simclr]
fractions: [5%, 0.25, \"50 %\", 1]
lr:
  scheduler: {kind: cosine, base: {pretext: 3e-4, downstream: 1e-3}, warmup_epochs: 1, applies: [pretext, downstream]}
  fixed: {kind: constant, base: 5e-6}
seeds: [0, 1, 2]
split_seeds: [0]
pretext: {data: all, epochs: 10, batch: 64, optimizer: {kind: sgd, momentum: 0.9, weight_decay: 5e-4}, lr: 1e-3,
          padding: 4, flip: true, strength: 0.5, temperature: 0.5, projection: 64, min_crop: 0.2,
          jitter: 0.9, grayscale: 0.1, blur: 0.5, knn: {k: 20, temperature: 0.07, every: 5}}
downstream: {mode: frozen, head: mlp, steps: 200, batch: 64, optimizer: adam, lr: 1e-3, padding: 4, flip: true}
overrides: {simclr: {lr: {scheduler: {base: {pretext: 1e-3}}}, pretext: {epochs: 20, batch: 128}, downstream: {epochs: 2}}}
exclude: [{method: simclr, fraction: 5%, lr: fixed, seed: 2}]
max_parallel: 4
checkpoint: {every: 30s, keep: 2}
numeric: cpu
";
    let sweep = parse(text).unwrap_or_else(|errors| panic!("{}", errors.render("sweep.yaml", text)));
    assert_eq!(sweep.policies, ["scheduler", "fixed"]);
    assert_eq!(sweep.normalize, Normalize::Given { mean: [0.5; 3], std: [0.25; 3] });
    assert_eq!(sweep.cells().count(), 4 * 4 * 2 * 3 - 1);
    let simclr = sweep.recipes[3].pretext.as_ref().expect("simclr has pretext");
    assert_eq!(
        simclr.task,
        PretextTask::Simclr(simclr::Task {
            temperature: 0.5,
            projection: 64,
            strength: 0.5,
            min_crop: 0.2,
            flip: true,
            chances: Chances { jitter: 0.9, grayscale: 0.1, blur: 0.5 },
        })
    );
    assert_eq!(simclr.train.optimizer, OptimizerSpec::Sgd { momentum: 0.9, weight_decay: 5e-4 });
    assert_eq!(simclr.train.lr, LrSpec::Cosine { base: 1e-3, warmup_epochs: 1.0 });
    assert_eq!((simclr.data, simclr.train.budget), (PretextData::All, Budget::Epochs(20)));
    assert_eq!(simclr.knn, Some(KnnSpec { k: 20, temperature: 0.07, every: 5 }));
    assert_eq!(sweep.recipes[3].downstream.head, DownstreamHead::Mlp);
    assert_eq!(sweep.recipes[3].downstream.train.budget, Budget::Epochs(2));
    assert_eq!(sweep.recipes[2].downstream.train.budget, Budget::Steps(200));
}

#[test]
fn defaults_are_filled_in() {
    let sweep = good("name", "name");
    assert_eq!((sweep.image_size, &sweep.normalize), (32, &Normalize::Train));
    assert_eq!(sweep.encoder, EncoderSpec::SmallCnn { width: 16, blocks: 3 });
    assert_eq!(sweep.seeds, [SeedPair { seed: 0, split: 0 }, SeedPair { seed: 1, split: 1 }]);
    let [supervised, rotation] = &sweep.recipes[..] else { panic!("{:?}", sweep.recipes) };
    assert_eq!((supervised.method, &supervised.pretext), (Method::Supervised, &None));
    let pretext = rotation.pretext.as_ref().expect("rotation has a pretext stage");
    assert_eq!(pretext.data, PretextData::Fraction);
    assert_eq!(pretext.task, PretextTask::Rotation(rotation::Task { augment: CropFlip { padding: 4, flip: true } }));
    assert_eq!((pretext.train.budget, pretext.train.batch), (Budget::Epochs(10), 64));
    assert_eq!(pretext.train.optimizer, OptimizerSpec::Adam { weight_decay: 0.0 });
    assert_eq!(rotation.downstream.mode, DownstreamMode::FineTune);
    assert_eq!(rotation.downstream.train.lr, LrSpec::Constant { base: 1e-3 });
    assert_eq!(sweep.cells().count(), 2 * 2 * 2);
}

#[test]
fn defaults_follow_the_images() {
    let simclr = |dataset: &str| {
        let text = GOOD
            .replace("{kind: procedural, train_per_class: 400, test_per_class: 200}", dataset)
            .replace("[supervised, rotation]", "[simclr]")
            .replace("small-cnn", "resnet18");
        let sweep = parse(&text).expect("a good sweep");
        match &sweep.recipes[0].pretext.as_ref().expect("simclr has pretext").task {
            PretextTask::Simclr(simclr::Task { strength, min_crop, flip, chances, .. }) => {
                (*strength, *min_crop, *flip, chances.blur, sweep.encoder)
            }
            other => panic!("{other:?}"),
        }
    };
    let resnet = |stem| EncoderSpec::Resnet18 { stem };
    assert_eq!(simclr("{kind: cifar10, path: c}"), (0.5, 0.08, true, 0.0, resnet(Stem::Small)));
    assert_eq!(simclr("{kind: idx, path: m}"), (0.5, 0.5, false, 0.0, resnet(Stem::Small)));
    let large = "{kind: image-folder, path: ./a//b/, image_size: 96, test_fraction: 0.2}";
    assert_eq!(simclr(large), (1.0, 0.08, true, 0.5, resnet(Stem::Large)));
    let sweep = good("{kind: procedural, train_per_class: 400, test_per_class: 200}", large);
    assert_eq!(sweep.source, "image-folder:a/b".parse::<Source>().expect("a key").with_test_fraction(Some(0.2)));
}

#[test]
fn labelled_images_are_cropped_in_one_of_two_ways() {
    let downstream = "downstream: {";
    let augment = |text: &str| parse(text).unwrap_or_else(|errors| panic!("{errors}")).recipes[1].downstream.augment;
    assert_eq!(augment(GOOD), LabelledView::Padded(CropFlip { padding: 4, flip: true }));
    let resized = GOOD.replace(downstream, "downstream: {min_crop: 0.08, ");
    assert_eq!(augment(&resized), LabelledView::Resized(ResizedFlip { min_crop: 0.08, flip: true }));
    // These bytes are part of a stage's identity: a padded crop must contain nothing about resized ones.
    let json = |augment: LabelledView| serde_json::to_string(&augment).expect("JSON");
    assert_eq!(json(augment(GOOD)), r#"{"padding":4,"flip":true}"#);
    assert_eq!(json(augment(&resized)), r#"{"min_crop":0.08,"flip":true}"#);
    for text in [json(augment(GOOD)), json(augment(&resized))] {
        assert_eq!(json(serde_json::from_str(&text).expect("what was written")), text);
    }
    // An override of one replaces the other.
    let override_with = |key: &str| resized.clone() + "overrides: {rotation: {downstream: {" + key + "}}}\n";
    assert_eq!(augment(&override_with("padding: 2")), LabelledView::Padded(CropFlip { padding: 2, flip: true }));
    assert_eq!(
        augment(&override_with("flip: false")),
        LabelledView::Resized(ResizedFlip { min_crop: 0.08, flip: false })
    );
    let both = "downstream: {padding: 2, min_crop: 0.2, ";
    refused_of(GOOD, downstream, both, "`padding` and `min_crop` exclude each other");
    refused_of(GOOD, downstream, "downstream: {min_crop: 0, ", "a share of the image from 0.001 to 1");
}

#[test]
fn overrides_lie_over_the_sections() {
    let text = GOOD.replace("rotation]", "simclr]")
        + "\
split_seeds: [7]
numeric: gpu
max_parallel: 4
priority: -3
checkpoint: {every: 5m, keep: 3}
overrides:
  simclr:
    lr: {fixed: {base: {pretext: 2}}}
    pretext: {steps: 1000, batch: 128}
    downstream: {mode: frozen, optimizer: {kind: sgd, weight_decay: 5e-4}}
exclude: [{method: simclr, fraction: 0.05}]
";
    let sweep = parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let simclr = &sweep.recipes[1];
    let pretext = simclr.pretext.as_ref().expect("simclr has pretext");
    assert_eq!((pretext.train.budget, pretext.train.batch), (Budget::Steps(1000), 128));
    assert_eq!(pretext.train.lr, LrSpec::Constant { base: 2.0 });
    assert_eq!(simclr.downstream.train.lr, LrSpec::Constant { base: 1e-3 });
    assert_eq!(simclr.downstream.train.optimizer, OptimizerSpec::Sgd { momentum: 0.9, weight_decay: 5e-4 });
    assert_eq!((simclr.downstream.mode, simclr.downstream.augment), (DownstreamMode::Frozen, LabelledView::PLAIN));
    assert_eq!(sweep.recipes[0].downstream.mode, DownstreamMode::FineTune);
    assert_eq!(sweep.seeds[1], SeedPair { seed: 1, split: 7 });
    assert_eq!((sweep.numeric, sweep.priority), (Some(NumericClass::Gpu), -3));
    assert_eq!((sweep.max_parallel, sweep.checkpoint.every_seconds, sweep.checkpoint.keep), (Some(4), 300.0, 3));
    let simclr = Exclusion { method: Some(Method::Simclr), fraction: "5%".parse().ok(), ..Exclusion::default() };
    assert_eq!(sweep.exclude, [simclr]);
    assert_eq!(sweep.cells().count(), 8 - 2);
}

#[test]
fn a_policy_reaches_the_stages_that_it_applies_to() {
    let lr = "  down: {kind: cosine, base: {downstream: 3}, warmup_epochs: 1, applies: [downstream]}";
    let text = replaced("  fixed: {kind: constant, base: 1e-3}", lr);
    let own = |lr: &str| parse(&text.replace("{epochs: 10}", &format!("{{epochs: 10, lr: {lr}}}")));
    for (own_lr, expected) in [
        ("1e-4", LrSpec::Constant { base: 1e-4 }),
        ("{kind: cosine, base: 2e-4}", LrSpec::Cosine { base: 2e-4, warmup_epochs: 0.0 }),
    ] {
        let sweep = own(own_lr).expect("a good sweep");
        let rotation = &sweep.recipes[1];
        assert_eq!(rotation.pretext.as_ref().map(|pretext| pretext.train.lr.clone()), Some(expected));
        assert_eq!(rotation.downstream.train.lr, LrSpec::Cosine { base: 3.0, warmup_epochs: 1.0 });
    }
    let missing = "9:10: pretext: `lr` is missing (the policy `down` does not apply to pretext, so `pretext.lr` must give its rate)";
    assert_eq!(problems(&text), missing);
    // A sweep without pretext stages needs no rate for them.
    assert_eq!(problems(&text.replace("supervised, rotation", "supervised")), "no problem");
}

#[test]
fn every_schedule_is_read_and_follows_the_batch() {
    let of = |policy: &str| {
        let text =
            replaced("{kind: constant, base: 1e-3}", policy).replace("{epochs: 10}", "{epochs: 10, batch: 1024}");
        let sweep = parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
        let pretext = sweep.recipes[1].pretext.clone().expect("rotation has a pretext stage");
        (pretext.train.lr, sweep.recipes[1].downstream.train.lr.clone())
    };
    let step = |base| LrSpec::Step { base, gamma: 0.2, milestones: vec![60, 120, 160] };
    assert_eq!(of("{kind: step, base: 0.1, gamma: 0.2, milestones: [60, 120, 160]}").0, step(0.1));
    // Batches of 1024 and of 64: base · batch / 256, and base · √batch.
    let linear = of("{kind: step, base: 0.5, scale: linear, gamma: 0.2, milestones: [60, 120, 160]}");
    assert_eq!(linear, (step(2.0), step(0.125)));
    let constant = |base| LrSpec::Constant { base };
    assert_eq!(of("{kind: constant, base: 0.075, scale: sqrt}"), (constant(2.4), constant(0.6)));
    let one_cycle = LrSpec::OneCycle { base: 2.0, pct_start: 0.25, div_factor: 25.0, final_div_factor: 1e4 };
    assert_eq!(of("{kind: one-cycle, base: 2, pct_start: 0.25}").0, one_cycle);
    let cyclical = |shape| LrSpec::Cyclical { base: 1.0, low: 0.2, half_cycle_epochs: 4.0, shape };
    assert_eq!(of("{kind: cyclical, base: 1, low: 0.2, half_cycle_epochs: 4}").0, cyclical(CycleShape::Triangular));
    let exp_range = of("{kind: cyclical, base: 1, low: 0.2, half_cycle_epochs: 4, shape: exp-range, gamma: 0.999}");
    assert_eq!(exp_range.0, cyclical(CycleShape::ExpRange { gamma: 0.999 }));
}

#[test]
fn every_optimizer_is_read() {
    let of = |optimizer: &str| {
        let sweep = good("{epochs: 20}", &format!("{{epochs: 20, optimizer: {optimizer}}}"));
        (sweep.recipes[0].downstream.train.optimizer.clone(), sweep.recipes[0].downstream.train.decay)
    };
    let plain = |optimizer| (optimizer, DecayOn::Weights);
    assert_eq!(of("sgd"), plain(OptimizerSpec::Sgd { momentum: 0.9, weight_decay: 0.0 }));
    let nesterov = OptimizerSpec::Nesterov { momentum: 0.9, weight_decay: 5e-4 };
    assert_eq!(of("{kind: sgd, nesterov: true, weight_decay: 5e-4, decay: all}"), (nesterov, DecayOn::All));
    assert_eq!(of("adamw"), plain(OptimizerSpec::AdamW { weight_decay: 0.01 }));
    let lars = OptimizerSpec::Lars { momentum: 0.9, weight_decay: 1e-4, trust: 1e-3 };
    assert_eq!(of("{kind: lars, weight_decay: 1e-4}"), plain(lars));
}

#[test]
fn controls_are_methods() {
    let text = GOOD.replace("rotation]", "random-init, rotation-noise, rotation-pre-rotated]");
    let sweep = parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let [supervised, floor, noise, turned] = &sweep.recipes[..] else { panic!("{:?}", sweep.recipes) };
    // The baseline trains what the floor freezes.
    assert_eq!((supervised.downstream.mode, &supervised.pretext), (DownstreamMode::FineTune, &None));
    assert_eq!((floor.downstream.mode, &floor.pretext), (DownstreamMode::Frozen, &None));
    let images = |recipe: &super::Recipe| recipe.pretext.as_ref().map(|pretext| pretext.images);
    assert_eq!(images(noise), Some(PretextImages::Noise));
    assert_eq!(images(turned), Some(PretextImages::PreRotated));
    let own = |mode: &str| problems(&(text.clone() + &format!("overrides: {{random-init: {{{mode}}}}}\n")));
    assert_eq!(own("downstream: {mode: frozen}"), "no problem");
    assert_eq!(
        own("downstream: {mode: fine-tune}"),
        "11:46: overrides.random-init.downstream.mode: random-init freezes the encoder's initial weights (remove the override, or name `supervised`, which trains them)"
    );
    assert_eq!(
        own("pretext: {epochs: 1}"),
        "11:36: overrides.random-init.pretext: random-init cells have no pretext stage"
    );
}

#[test]
fn a_block_of_the_encoder_can_be_probed() {
    let sweep =
        parse(&GOOD.replace("small-cnn", "nin").replace("{epochs: 20}", "{epochs: 20, mode: frozen, block: 2}"));
    let sweep = sweep.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(sweep.encoder, EncoderSpec::Nin { blocks: 4 });
    assert_eq!(sweep.recipes[1].downstream.encoder, EncoderSpec::Nin { blocks: 2 });
    refused("{epochs: 20}", "{epochs: 20, block: 4}", "10:33: downstream.block: the encoder has 3 blocks");
}

#[test]
fn problems_name_their_place_and_the_way_out() {
    refused("{epochs: 10}", "{epochs: 10, batchs: 3}", "9:23: pretext: unknown key `batchs` (did you mean `batch`?)");
    refused("seeds:", "sedes:", "8:1: unknown key `sedes` (did you mean `seeds`?)");
    refused(
        "epochs: 10",
        "epochs: ten",
        "9:19: pretext.epochs: expected a whole number from 1 to 1000000, found the text `ten`",
    );
    refused(
        "epochs: 10",
        "epochs: 10, steps: 5",
        "9:30: pretext.steps: `epochs` and `steps` exclude each other (remove one of them)",
    );
    refused(
        "epochs: 10",
        "flip: yes, epochs: 1",
        "9:17: pretext.flip: expected `true` or `false`, found the text `yes` (write true)",
    );
    refused("[supervised, rotation]", "[]", "4:10: methods: the list is empty: give at least one method");
    refused("rotation]", "simclt]", "4:23: methods[1]: `simclt` is not a method (did you mean `simclr`?)");
    refused(
        "rotation]",
        "rotation_jitter]",
        "4:23: methods[1]: `rotation_jitter` is not a method (did you mean `rotation-jitter`?)",
    );
    refused("rotation]", "supervised]", "4:23: methods[1]: this method is in the list twice");
    refused("0.25", "0", "5:17: fractions[1]: the fraction 0 is outside (0, 1] (write 0.05 or 5%)");
    refused("0.25", "1.5", "5:17: fractions[1]: the fraction 1.5 is outside (0, 1] (did you mean `1.5%`?)");
    refused("0.25", ".nan", "5:17: fractions[1]: the fraction NaN is outside (0, 1] (write 0.05 or 5%)");
    refused("0.25", "101%", "5:17: fractions[1]: `101%` is not a fraction in (0, 1] (write 0.05 or 5%)");
    refused("0.25", "0.05", "5:17: fractions[1]: this fraction is in the list twice");
    refused("small-cnn", "resnet81", "3:10: encoder: `resnet81` is not an encoder (did you mean `resnet18`?)");
    refused(
        "name: quick",
        "name: a/b",
        "1:7: name: a name has 1 to 64 of the characters A-Z a-z 0-9 . _ - and does not begin with a dot",
    );
    refused("name: quick", "name: 7", "1:7: name: expected a name, found 7 (write it in quotes)");
    refused("1e-3", "-1", "7:33: lr.fixed.base: expected a learning rate above 0, found -1");
    refused("1e-3", "1e999", "7:33: lr.fixed.base: expected a learning rate above 0, found inf");
    refused(
        "base: 1e-3",
        "base: {downstream: 1}",
        "7:10: lr.fixed: `base.pretext` is missing (give a rate for pretext, or leave pretext out of `applies`)",
    );
    refused(
        "kind: constant",
        "kind: cosine, warmup_epochs: 11",
        "7:10: lr.fixed: a warm-up of 11 epochs leaves nothing of pretext, which has 10 (shorten `warmup_epochs`)",
    );
    refused(
        "pretext: {epochs: 10}",
        "max_parallel: 1",
        "1:1: pretext: `epochs` is missing (give `epochs`, or `steps` for a budget that is equal for all fractions)",
    );
    refused("seeds:", "priority: 11\nseeds:", "8:11: priority: expected a whole number from -10 to 10, found 11");
    refused(
        "[0, 1]",
        "[0, 9007199254740992]",
        "8:12: seeds[1]: expected a whole number from 0 to 9007199254740991, found 9007199254740992",
    );
    refused(
        "[0, 1]",
        "[0, 1]\nsplit_seeds: [1, 2, 3]",
        "9:14: split_seeds: 3 split seeds for 2 seeds (give one for all, or one for each seed)",
    );
    refused(
        "{kind: procedural, train_per_class: 400, test_per_class: 200}",
        "{kind: cifar10, path: ../x}",
        "2:32: dataset.path: the path must stay below the worker's data root (give it relative to the data root, without `..`)",
    );
    refused(
        "seeds:",
        "exclude: [{method: simclr}]\nseeds:",
        "8:20: exclude[0].method: excludes nothing: the value is not among this sweep's `methods`",
    );
    refused(
        "seeds:",
        "exclude: [{lr: fixed}]\nseeds:",
        "8:10: exclude: every cell is excluded: nothing is left to run",
    );
    refused(
        "seeds:",
        "exclude: [{}]\nseeds:",
        "8:11: exclude[0]: the exclusion names no value: give at least one of method, fraction, lr and seed",
    );
    refused(
        "seeds:",
        "overrides: {simclr: {}}\nseeds:",
        "8:21: overrides.simclr: `simclr` is not among this sweep's methods (add it to `methods`, or remove the override)",
    );
    refused(
        "seeds:",
        "overrides: {rotation: {pretext: {temperature: 1}}}\nseeds:",
        "8:34: overrides.rotation.pretext: unknown key `temperature` (known here: `epochs`, `steps`, `batch`, `optimizer`, `lr`, `data`, `padding`, `flip`, `knn`)",
    );
}

#[test]
fn problems_of_optimizers_and_schedules() {
    refused(
        "{epochs: 10}",
        "{epochs: 10, optimizer: {kind: sgd, momentum: 0, nesterov: true}}",
        "9:69: pretext.optimizer.nesterov: there is no Nesterov step without momentum (set `momentum`, or remove `nesterov`)",
    );
    refused(
        "{epochs: 10}",
        "{epochs: 10, optimizer: {kind: lars, decay: all}}",
        "9:47: pretext.optimizer: unknown key `decay` (known here: `kind`, `weight_decay`, `momentum`, `trust`)",
    );
    refused(
        "{kind: constant, base: 1e-3}",
        "{kind: step, base: 1, milestones: [60, 60]}",
        "7:44: lr.fixed.milestones: milestones must ascend",
    );
    refused(
        "{kind: constant, base: 1e-3}",
        "{kind: cyclical, base: 1, half_cycle_epochs: 1, gamma: 0.9}",
        "7:65: lr.fixed.gamma: only `shape: exp-range` has a gamma (change the shape, or remove it)",
    );
    refused(
        "kind: constant",
        "kind: constant, warmup_epochs: 1",
        "7:42: lr.fixed.warmup_epochs: a constant rate has no warm-up (use `kind: cosine`, or remove it)",
    );
}

#[test]
fn a_policy_given_twice_is_refused() {
    let text = GOOD.replace("seeds: ", "  fixed: {kind: constant, base: 1}\nseeds: ");
    assert_eq!(problems(&text), "8:3: the key `fixed` is given twice");
}

#[test]
fn all_problems_are_reported_together() {
    let text =
        GOOD.replace("rotation]", "rotatoin]").replace("epochs: 20", "epochs: 0, momentum: 1").replace("0.25", "2");
    let errors = parse(&text).expect_err("four problems");
    assert_eq!(
        errors.render("sweep.yaml", &text),
        "\
sweep.yaml:4:23: methods[1]: `rotatoin` is not a method
 4 | methods: [supervised, rotatoin]
   |                       ^
   = did you mean `rotation`?
sweep.yaml:5:17: fractions[1]: the fraction 2 is outside (0, 1]
 5 | fractions: [5%, 2]
   |                 ^
   = did you mean `2%`?
sweep.yaml:10:22: downstream.epochs: expected a whole number from 1 to 1000000, found 0
 10 | downstream: {epochs: 0, momentum: 1}
    |                      ^
sweep.yaml:10:25: downstream: unknown key `momentum`
 10 | downstream: {epochs: 0, momentum: 1}
    |                         ^
    = known here: `epochs`, `steps`, `batch`, `optimizer`, `lr`, `mode`, `head`, `block`, `padding`, `min_crop`, `flip`
"
    );
}

#[test]
fn a_product_that_explodes_is_refused_before_it_is_expanded() {
    let seeds: Vec<String> = (0..30_000).map(|seed| seed.to_string()).collect();
    refused(
        "[0, 1]",
        &format!("[{}]", seeds.join(", ")),
        "1:1: 2 methods × 2 fractions × 1 lr policy × 30,000 seeds are 120,000 cells; a sweep has at most 100,000 (shorten an axis, or write several sweeps: they share their stages)",
    );
}
