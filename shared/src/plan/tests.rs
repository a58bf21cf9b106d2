//! Tests of the expansion of a sweep to cells and stages.

use std::collections::BTreeSet;

use super::{Plan, PlanErrors, Total, expand};
use crate::dataset::{DatasetFacts, Note, Procedural, Role, Source, SweepFacts};
use crate::device::NumericClass;
use crate::ids::{ContentHash, Fingerprint};
use crate::spec::parse;
use crate::stage::{Extent, Method, StageKind};
use crate::sweep::Cost;

/// 1000 images a class: at 5 % 40 train and 10 validate, at 25 % 200 and 50.
const DESIGN: &str = "\
name: quick
dataset: {kind: procedural, train_per_class: 1000, test_per_class: 200}
encoder: small-cnn
methods: [supervised, rotation, rotation-jitter, simclr]
fractions: [5%, 25%]
lr:
  scheduler: {kind: cosine, base: {pretext: 3e-4, downstream: 1e-3}, warmup_epochs: 1}
  fixed: {kind: constant, base: 5e-6}
seeds: [0]
pretext: {epochs: 10, lr: 1e-3}
downstream: {epochs: 20}
";

fn facts() -> DatasetFacts {
    Procedural { train_per_class: 1000, test_per_class: 200, seed: 0 }.facts()
}

fn try_plan(text: &str, extent: Extent) -> Result<Plan, PlanErrors> {
    let sweep = parse(text).unwrap_or_else(|errors| panic!("{errors}"));
    let facts = match &sweep.source {
        Source::Procedural(procedural) => procedural.facts(),
        _ => folder(),
    };
    expand(&sweep, &facts, NumericClass::Cpu, extent)
}

fn plan(text: &str) -> Plan {
    try_plan(text, Extent::Whole).unwrap_or_else(|errors| panic!("{errors}"))
}

fn folder() -> DatasetFacts {
    DatasetFacts {
        key: "image-folder:pets".to_owned(),
        fingerprint: Fingerprint(ContentHash::of(b"pets")),
        classes: ["cat", "dog"].map(str::to_owned).to_vec(),
        train: vec![100, 20],
        test: vec![],
        groups: vec![],
        validation: vec![],
        notes: vec![],
    }
}

fn count(plan: &Plan, kind: StageKind) -> usize {
    plan.stages.iter().filter(|stage| stage.stage.spec.kind() == kind).count()
}

fn cost(plan: &Plan, method: Method, kind: StageKind) -> Cost {
    let cell = plan.cells.iter().find(|cell| cell.key.method == method).expect("the method has cells");
    let of_kind = |id: &_| plan.stage(*id).filter(|stage| stage.stage.spec.kind() == kind);
    cell.stages().find_map(|id| of_kind(&id)).expect("the cell has such a stage").cost
}

#[test]
fn the_study_shares_nothing_until_a_policy_leaves_pretext_alone() {
    let whole = plan(DESIGN);
    assert_eq!(whole.cells.len(), 16);
    assert_eq!(whole.stages.len(), 12 + 16 + 16);
    assert_eq!(whole.sharing.before, whole.sharing.after);
    assert_eq!(whole.sharing.steps_saved(), 0);

    let downstream_only = DESIGN.replace("{kind: cosine", "{applies: [downstream], kind: cosine");
    let half = plan(&downstream_only);
    // `fixed` still trains its own pretext stages.
    assert_eq!(count(&half, StageKind::Pretext), 12);

    let shared = plan(&downstream_only.replace("{kind: constant", "{applies: [downstream], kind: constant"));
    assert_eq!(
        [StageKind::Pretext, StageKind::Downstream, StageKind::Test].map(|kind| count(&shared, kind)),
        [6, 16, 16]
    );
    let saved: u64 = shared.stages.iter().filter(|stage| stage.cells == 2).map(|stage| stage.cost.steps).sum();
    assert_eq!((shared.sharing.before.stages, shared.sharing.after.stages), (44, 38));
    assert_eq!(shared.sharing.steps_saved(), saved);
}

#[test]
fn pretext_on_all_images_is_one_stage_for_all_fractions() {
    let all = plan(&DESIGN.replace("pretext: {epochs: 10", "pretext: {data: all, epochs: 10"));
    assert_eq!(count(&all, StageKind::Pretext), 6);
    // 3000 images, one of five validates.
    assert_eq!(cost(&all, Method::Rotation, StageKind::Pretext).train_images, 2400);
    // At the full fraction both protocols are the same stage.
    let full = DESIGN.replace("[5%, 25%]", "[1]");
    let by_fraction = plan(&full);
    let by_all = plan(&full.replace("pretext: {epochs: 10", "pretext: {data: all, epochs: 10"));
    assert_eq!(by_fraction, by_all);
}

#[test]
fn cells_are_chains_in_order() {
    let plan = plan(&DESIGN.replace("seeds: [0]", "seeds: [0, 1]"));
    let keys: Vec<String> = plan.cells.iter().map(|cell| cell.key.to_string()).collect();
    assert_eq!(
        keys[..3],
        ["supervised/0.05/scheduler/0", "supervised/0.05/scheduler/1", "supervised/0.25/scheduler/0"]
    );
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 32);
    let mut seen = BTreeSet::new();
    for stage in &plan.stages {
        assert_eq!(stage.id, stage.stage.id());
        assert!(
            stage.stage.spec.parent().is_none_or(|parent| seen.contains(&parent)),
            "a child stands before its parent"
        );
        assert!(seen.insert(stage.id), "a stage stands twice");
    }
    for cell in &plan.cells {
        assert_eq!(cell.pretext.is_none(), cell.key.method == Method::Supervised);
        assert!(cell.stages().all(|id| seen.contains(&id)));
    }
    assert!(serde_json::to_string(&plan).is_ok_and(|json| json.contains("simclr")));
    // Seeds share nothing.
    assert_eq!(plan.stages.len(), 2 * 44);
}

#[test]
fn costs_by_hand() {
    let whole = plan(DESIGN);
    // 5 % of 3 × 1000: 120 train in 2 batches of 64 and 56, 30 validate.
    let rotation = Cost { train_images: 120, validation_images: 30, epochs: 10, steps: 20, images_seen: 10 * 120 * 4 };
    assert_eq!(cost(&whole, Method::Rotation, StageKind::Pretext), rotation);
    // SimCLR leaves the last 56 out.
    let simclr = Cost { steps: 10, images_seen: 10 * 64 * 2, ..rotation };
    assert_eq!(cost(&whole, Method::Simclr, StageKind::Pretext), simclr);
    let downstream = Cost { epochs: 20, steps: 40, images_seen: 20 * 120, ..rotation };
    assert_eq!(cost(&whole, Method::Simclr, StageKind::Downstream), downstream);
    let test = Cost { train_images: 600, validation_images: 0, epochs: 0, steps: 0, images_seen: 0 };
    assert_eq!(cost(&whole, Method::Simclr, StageKind::Test), test);

    // Five steps are two epochs and one full batch of a third.
    let steps = plan(&DESIGN.replace("pretext: {epochs: 10", "pretext: {steps: 5"));
    let rotation = Cost { epochs: 3, steps: 5, images_seen: (2 * 120 + 64) * 4, ..rotation };
    assert_eq!(cost(&steps, Method::Rotation, StageKind::Pretext), rotation);
    assert_eq!(
        cost(&steps, Method::Simclr, StageKind::Pretext),
        Cost { epochs: 5, images_seen: 5 * 64 * 2, ..rotation }
    );
}

#[test]
fn a_rehearsal_takes_two_steps_and_shares_nothing_with_the_whole() {
    let whole = plan(DESIGN);
    let smoke = try_plan(DESIGN, Extent::Smoke).expect("a plan");
    let rotation = Cost { train_images: 120, validation_images: 30, epochs: 1, steps: 2, images_seen: 120 * 4 };
    assert_eq!(cost(&smoke, Method::Rotation, StageKind::Pretext), rotation);
    assert_eq!(
        cost(&smoke, Method::Simclr, StageKind::Pretext),
        Cost { epochs: 2, images_seen: 2 * 64 * 2, ..rotation }
    );
    assert_eq!(smoke.sharing.after, Total { stages: 44, steps: 28 * 2, images_seen: smoke.sharing.after.images_seen });
    assert!(smoke.stages.iter().all(|stage| whole.stage(stage.id).is_none()));
    assert_ne!(whole.sweep, smoke.sweep);
    // A budget of one step stays one step.
    let one = try_plan(&DESIGN.replace("pretext: {epochs: 10", "pretext: {steps: 1"), Extent::Smoke).expect("a plan");
    assert_eq!(cost(&one, Method::Rotation, StageKind::Pretext).steps, 1);
}

#[test]
fn the_sweep_is_named_by_what_it_computes() {
    let id = plan(DESIGN).sweep;
    assert!(id.as_str().starts_with("quick-"));
    assert_eq!(plan(&format!("{DESIGN}checkpoint: {{every: 1s}}\nmax_parallel: 3\n")).sweep, id);
    assert_eq!(plan(&DESIGN.replace("test_per_class: 200", "test_per_class: 200, seed: 0")).sweep, id);
    for (from, to) in [
        ("epochs: 20", "epochs: 21"),
        ("[5%, 25%]", "[25%, 5%]"),
        ("fixed:", "other:"),
        ("test_per_class: 200", "test_per_class: 201"),
    ] {
        assert!(DESIGN.contains(from));
        assert_ne!(plan(&DESIGN.replace(from, to)).sweep, id, "{to}");
    }
    let gpu = expand(&parse(DESIGN).expect("a sweep"), &facts(), NumericClass::Gpu, Extent::Whole).expect("a plan");
    assert_ne!(gpu.sweep, id);
}

#[test]
fn stage_ids_are_frozen() {
    // If these ids change, results of earlier sweeps are no longer found. If the results themselves have changed, raise
    // the algorithm versions; otherwise the change of the ids is a mistake.
    let plan = plan(DESIGN);
    let cell = plan.cells.iter().find(|cell| cell.key.to_string() == "simclr/0.25/scheduler/0").expect("in the sweep");
    let ids: Vec<String> = cell.stages().map(|id| id.short()).collect();
    assert_eq!(ids, FROZEN);
    assert_eq!(plan.sweep.as_str(), "quick-bdaed4e5");
}
const FROZEN: [&str; 3] = ["acb23d4e0d48", "9546c7a6a555", "efc85a02c7b0"];

#[test]
fn all_that_the_data_refuse_is_said_together() {
    let text = DESIGN.replace(
        "{kind: procedural, train_per_class: 1000, test_per_class: 200}",
        "{kind: image-folder, path: pets, image_size: 32, test_fraction: 0.5}",
    );
    let errors = try_plan(&text, Extent::Whole).expect_err("too few images");
    assert_eq!(
        errors.to_string(),
        "\
fraction 0.05 takes 1 of the 10 training images of class `dog`: a class needs at least one training and one validation image, so at least 2; the smallest fraction that does is 0.15
simclr at fraction 0.25 has 12 training images, less than one batch of 64"
    );
    let batch = text.replace("[5%, 25%]", "[15%, 25%]") + "overrides: {simclr: {pretext: {batch: 7}}}";
    assert_eq!(try_plan(&batch, Extent::Whole).expect("enough").cells.len(), 16);
}

#[test]
fn test_parts_must_be_clear() {
    let sweep = |share: &str| {
        let dataset = format!("{{kind: image-folder, path: pets, image_size: 32{share}}}");
        let text = DESIGN
            .replace("{kind: procedural, train_per_class: 1000, test_per_class: 200}", &dataset)
            .replace("[5%, 25%]", "[100%]")
            .replace(", simclr", "");
        parse(&text).expect("a sweep")
    };
    let planned = |share: &str, facts: &DatasetFacts| {
        expand(&sweep(share), facts, NumericClass::Cpu, Extent::Whole)
            .map(|plan| plan.cells.len())
            .map_err(|e| e.to_string())
    };
    let (apart, with_test) = (folder(), DatasetFacts { test: vec![5, 5], ..folder() });
    assert_eq!(planned(", test_fraction: 0.2", &apart), Ok(6));
    assert_eq!(planned("", &with_test), Ok(6));
    let message = |share: &str, facts: &DatasetFacts| planned(share, facts).expect_err("refused");
    assert_eq!(
        message("", &apart),
        "image-folder:pets has no test part: add a `test/` folder, or set `dataset.test_fraction` (for example 0.2) to take test images out of the training images"
    );
    assert_eq!(
        message(", test_fraction: 0.2", &with_test),
        "image-folder:pets has a test part of its own (10 images): remove `dataset.test_fraction`"
    );
    assert_eq!(
        message("", &DatasetFacts { test: vec![0, 0], ..folder() }),
        "image-folder:pets has no test images: fill its test part, or raise `dataset.test_fraction`"
    );
    assert_eq!(
        message("", &DatasetFacts { test: vec![1], ..folder() }),
        "image-folder:pets was announced with 2 class names, but training counts of 2 classes and test counts of 1 class: update the worker that announces it"
    );
    let beside = Note::UnreadFolder { folder: "val".to_owned(), role: Some(Role::Validation) };
    let unread = message("", &DatasetFacts { notes: vec![beside], ..folder() });
    assert!(unread.contains("write `dataset.test: val` to test with it"), "{unread}");
    let only_test = message("", &DatasetFacts { train: vec![9, 0], ..with_test });
    assert!(only_test.starts_with("class `dog` has 5 test images and no training images"), "{only_test}");
    assert!(only_test.ends_with("no fraction does: add images to the class or remove it"), "{only_test}");
    let other = message("", &facts());
    assert_eq!(other, "the sweep needs the data set image-folder:pets, but was planned with procedural");
}

#[test]
fn a_weights_file_starts_every_chain_but_the_floor() {
    let plain =
        DESIGN.replace("[supervised, rotation, rotation-jitter, simclr]", "[supervised, rotation, random-init]");
    let hash = "0".repeat(63);
    let with = |path: &str, digit: &str| {
        let encoder = format!("encoder: {{kind: small-cnn, weights: {{path: {path}, sha256: \"{hash}{digit}\"}}}}");
        plan(&plain.replace("encoder: small-cnn", &encoder))
    };
    let (without, one, moved, other) = (plan(&plain), with("a.pth", "1"), with("b.pt", "1"), with("a.pth", "2"));
    // The file's path changes nothing; its content changes every stage that depends on it.
    assert_eq!(one, moved);
    let ids = |plan: &Plan| plan.stages.iter().map(|stage| stage.id).collect::<BTreeSet<_>>();
    let floor = |plan: &Plan| {
        let cells = plan.cells.iter().filter(|cell| cell.key.method == Method::RandomInit);
        cells.flat_map(|cell| cell.stages().collect::<Vec<_>>()).collect::<BTreeSet<_>>()
    };
    for plans in [[&without, &one], [&one, &other]] {
        let [a, b] = plans.map(ids);
        assert_eq!(a.intersection(&b).copied().collect::<BTreeSet<_>>(), floor(&one));
    }
    for stage in &one.stages {
        let spec = &stage.stage.spec;
        let starts = spec.parent().is_none() && !floor(&one).contains(&stage.id);
        assert_eq!(spec.weights().is_some(), starts, "{:?}", spec.kind());
    }
}

#[test]
fn pretext_on_other_data_is_one_stage_for_all_fractions() {
    let other = DESIGN
        .replace("encoder: small-cnn", "encoder: small-cnn\nnumeric: cpu")
        .replace("pretext: {", "pretext: {dataset: {kind: image-folder, path: pets, test_fraction: 0.1}, ");
    let sweep = parse(&other).unwrap_or_else(|errors| panic!("{errors}"));
    let (own, pets) = (facts(), folder());
    let at = |pretext| expand(&sweep, SweepFacts { dataset: &own, pretext }, NumericClass::Cpu, Extent::Whole);
    let moved = at(Some(&pets)).expect("a plan");
    // 100 and 20 images, of which 10 and 2 are set apart: 72 and 14 of 90 and 18 train.
    assert_eq!(cost(&moved, Method::Rotation, StageKind::Pretext).train_images, 72 + 14);
    assert_eq!(cost(&moved, Method::Rotation, StageKind::Downstream).train_images, 120);
    assert_eq!(count(&moved, StageKind::Pretext), 6);
    for stage in &moved.stages {
        let reads = stage.stage.spec.data().fingerprint;
        let pretext = stage.stage.spec.kind() == StageKind::Pretext;
        assert_eq!(reads, if pretext { pets.fingerprint } else { own.fingerprint });
    }
    // Other content is another stage, and everything built on it.
    let changed = DatasetFacts { fingerprint: Fingerprint(ContentHash::of(b"more pets")), ..folder() };
    let changed = at(Some(&changed)).expect("a plan");
    let shared = |stage: &&super::PlannedStage| moved.stage(stage.id).is_some();
    assert_eq!(changed.stages.iter().filter(shared).count(), 2 * 2 * 2, "those of supervised cells");
    let missing = at(None).expect_err("nothing is known of them").to_string();
    assert_eq!(missing, "the sweep needs the data set image-folder:pets, but was planned with nothing");
}

#[test]
fn a_validation_part_validates_and_its_share_follows_the_fraction() {
    let text = DESIGN
        .replace(
            "{kind: procedural, train_per_class: 1000, test_per_class: 200}",
            "{kind: image-folder, path: pets, image_size: 32}",
        )
        .replace("[supervised, rotation, rotation-jitter, simclr]", "[supervised]");
    let facts = DatasetFacts { test: vec![5, 5], validation: vec![10, 1], ..folder() };
    let planned = |fractions: &str, facts: &DatasetFacts| {
        let sweep = parse(&text.replace("[5%, 25%]", fractions)).unwrap_or_else(|errors| panic!("{errors}"));
        expand(&sweep, facts, NumericClass::Cpu, Extent::Whole)
    };
    for (fraction, expected) in [("[100%]", (120, 11)), ("[50%]", (60, 6)), ("[5%]", (6, 2))] {
        let plan = planned(fraction, &facts).expect("a plan");
        let cost = plan.stage(plan.cells[0].downstream).expect("it is planned").cost;
        assert_eq!((cost.train_images, cost.validation_images), expected, "{fraction}");
    }
    let error = planned("[2%]", &facts).expect_err("0.4 dogs").to_string();
    assert!(error.contains("takes none of the 20 training images of class `dog`"), "{error}");
    assert!(planned("[100%]", &DatasetFacts { validation: vec![10], ..facts }).is_err(), "one count for each class");
}

#[test]
fn groups_are_taken_whole_and_counted_by_seed() {
    let text = DESIGN
        .replace(
            "{kind: procedural, train_per_class: 1000, test_per_class: 200}",
            "{kind: image-folder, path: pets, image_size: 32}",
        )
        .replace("[supervised, rotation, rotation-jitter, simclr]", "[supervised, rotation]")
        .replace("[5%, 25%]", "[50%, 100%]")
        .replace("seeds: [0]", "seeds: [0, 1]");
    let sweep = parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    // Cats in five groups of 20, dogs in four of 5.
    let groups: Vec<Vec<u32>> = std::iter::repeat_n(vec![20, 0], 5).chain(std::iter::repeat_n(vec![0, 5], 4)).collect();
    let facts = DatasetFacts { test: vec![5, 5], groups, ..folder() };
    let planned = |facts: &DatasetFacts| expand(&sweep, facts, NumericClass::Cpu, Extent::Whole);
    let plan = planned(&facts).expect("a plan");
    for cell in &plan.cells {
        let cost = plan.stage(cell.downstream).expect("it is planned").cost;
        // Half of five groups is two (as near as three, and fewer), one of them validates; of four two.
        let expected =
            if cell.key.fraction == crate::split::Fraction::ALL { (80 + 15, 20 + 5) } else { (20 + 5, 20 + 5) };
        assert_eq!((cost.train_images, cost.validation_images), expected, "{}", cell.key);
    }
    // Beside a validation part every group that a fraction takes trains.
    let parted = planned(&DatasetFacts { validation: vec![8, 4], ..facts.clone() }).expect("a plan");
    for cell in &parted.cells {
        let cost = parted.stage(cell.downstream).expect("it is planned").cost;
        let expected = if cell.key.fraction == crate::split::Fraction::ALL { (120, 12) } else { (50, 6) };
        assert_eq!((cost.train_images, cost.validation_images), expected, "{}", cell.key);
    }
    let lonely = DatasetFacts { groups: vec![vec![50, 20], vec![50, 0]], ..facts.clone() };
    let error = planned(&lonely).expect_err("dogs are in one group").to_string();
    assert!(error.contains("takes whole groups and leaves class `dog` without"), "{error}");
    let torn = DatasetFacts { groups: vec![vec![100]], ..facts };
    assert!(planned(&torn).is_err(), "a group has a count for each class");
}
