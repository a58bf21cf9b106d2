//! Values of every domain type that crosses the wire: all variants, the ends of all ranges.

use pretext_engine::{
    Announcement, CellCounts, Checkpoint, DeviceState, Grant, Offer, RunningStage, StageRecord, SweepMark, SweepStatus,
    WorkerView,
};
use pretext_shared::claim::{Claim, Proof};
use pretext_shared::dataset::{
    DataSpec, DatasetFacts, DuplicatePolicy, Fit, GroupPattern, Normalize, Note, PartFolders, Policies, Procedural,
    Source, Unreadable,
};
use pretext_shared::device::{DeviceFacts, NumericClass};
use pretext_shared::ids::{
    ArtifactId, AttemptId, ContentHash, Fence, Fingerprint, StageId, SweepId, WeightsHash, WorkerId,
};
use pretext_shared::methods::{rotation, rotation_jitter, simclr};
use pretext_shared::outcome::{ArtifactKind, Failure, FailureCode, Score, StageResult};
use pretext_shared::point::{Metric, Part, Point};
use pretext_shared::split::{Fraction, SplitSpec};
use pretext_shared::stage::{
    Budget, Chances, CropFlip, CycleShape, DecayOn, DownstreamHead, DownstreamMode, DownstreamSpec, EncoderSpec,
    Extent, KnnSpec, LabelledView, LrSpec, OptimizerSpec, PretextImages, PretextSpec, PretextTask, ResizedFlip, Stage,
    StageKind, StageSpec, Stem, TestSpec, TrainSpec,
};
use pretext_shared::sweep::Cost;
use pretext_shared::trainer::CheckpointPolicy;
use proptest::collection::{btree_map, vec};
use proptest::num;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

/// Returns a number, often one of the ends of its range.
pub(crate) fn number() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), 0..100u64]
}

pub(crate) fn short() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), Just(0), Just(u32::MAX)]
}

/// Returns any finite number, including subnormal ones and both zeros.
pub(crate) fn finite() -> impl Strategy<Value = f64> {
    use num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

fn finite32() -> impl Strategy<Value = f32> {
    use num::f32::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), Just(String::new()), Just("\u{0}\u{1b}[2J\u{202e}\n\"".to_owned()), "[a-z/:]{1,20}"]
}

fn something() -> impl Strategy<Value = String> {
    text().prop_filter("empty is none", |text| !text.is_empty())
}

fn hash() -> impl Strategy<Value = ContentHash> {
    any::<[u8; 32]>().prop_map(ContentHash::from_bytes)
}

pub(crate) fn artifact() -> impl Strategy<Value = ArtifactId> {
    hash().prop_map(ArtifactId)
}

pub(crate) fn attempt() -> impl Strategy<Value = AttemptId> {
    (hash(), number()).prop_map(|(stage, fence)| AttemptId { stage: StageId(stage), fence: Fence(fence) })
}

pub(crate) fn proof() -> impl Strategy<Value = Proof> {
    vec(any::<u8>(), 0..40).prop_map(Proof)
}

pub(crate) fn claim() -> impl Strategy<Value = Claim> {
    (attempt(), proof()).prop_map(|(attempt, proof)| Claim { attempt, proof })
}

pub(crate) fn worker() -> impl Strategy<Value = WorkerId> {
    ("[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", any::<u128>())
        .prop_map(|(name, boot)| WorkerId { name, boot: Uuid::from_u128(boot) })
}

pub(crate) fn class() -> impl Strategy<Value = NumericClass> {
    select(vec![NumericClass::Cpu, NumericClass::Gpu])
}

fn device() -> impl Strategy<Value = DeviceFacts> {
    (text(), text(), class(), short()).prop_map(|(name, description, class, slots)| DeviceFacts {
        name,
        description,
        class,
        slots,
    })
}

fn facts() -> impl Strategy<Value = Announcement> {
    let counts = || vec(short(), 0..4);
    let notes = vec(text().prop_map(|text| Note::Other { text }), 0..3);
    let good = (hash(), vec(text(), 0..4), counts(), counts(), vec(counts(), 0..3), counts(), notes);
    (text(), prop_oneof![good.prop_map(Ok), something().prop_map(Err)]).prop_map(|(key, facts)| {
        let facts = facts.map(|(fingerprint, classes, train, test, groups, validation, notes)| DatasetFacts {
            key: key.clone(),
            fingerprint: Fingerprint(fingerprint),
            classes,
            train,
            test,
            groups,
            validation,
            notes,
        });
        Announcement { key, facts }
    })
}

pub(crate) fn offer() -> impl Strategy<Value = Offer> {
    (vec(device(), 0..3), vec(facts(), 0..3), text(), number())
        .prop_map(|(devices, datasets, version, data_cache)| Offer { devices, datasets, version, data_cache })
}

pub(crate) fn point() -> impl Strategy<Value = Point> {
    let part = select(vec![Part::Train, Part::Validation, Part::Test]);
    let metric =
        select(vec![Metric::Loss, Metric::Accuracy, Metric::StepLoss, Metric::LearningRate, Metric::KnnAccuracy]);
    (part, metric, short(), number(), finite()).prop_map(|(part, metric, epoch, step, value)| Point {
        part,
        metric,
        epoch,
        step,
        value,
    })
}

pub(crate) fn kind() -> impl Strategy<Value = ArtifactKind> {
    select(vec![ArtifactKind::Model, ArtifactKind::Predictions, ArtifactKind::Split, ArtifactKind::Checkpoint])
}

pub(crate) fn result() -> impl Strategy<Value = StageResult> {
    let score = (finite(), finite(), number()).prop_map(|(loss, accuracy, seen)| Score { loss, accuracy, seen });
    (short(), score, number(), number(), btree_map(kind(), artifact(), 0..4), text(), finite()).prop_map(
        |(selected_epoch, score, steps, images, artifacts, device, seconds)| StageResult {
            selected_epoch,
            score,
            steps,
            images,
            artifacts,
            device,
            seconds,
        },
    )
}

pub(crate) fn failure() -> impl Strategy<Value = Failure> {
    use FailureCode::*;
    let code = select(vec![Diverged, Data, DataCopy, Invalid, OutOfMemory, Device, Crashed, Storage, Lost, RolledBack]);
    (code, text(), vec(text(), 0..5)).prop_map(|(code, message, log)| Failure { code, message, log })
}

fn pattern() -> impl Strategy<Value = GroupPattern> {
    select(vec!["{*}_*", "*/{*}_*", "s{*}.png"]).prop_map(|text| text.parse().expect("a pattern"))
}

fn policies() -> impl Strategy<Value = Policies> {
    let unreadable = select(Unreadable::ALL.map(|(_, choice)| choice).to_vec());
    let duplicates = select(DuplicatePolicy::ALL.map(|(_, choice)| choice).to_vec());
    (unreadable, duplicates).prop_map(|(unreadable, duplicates)| Policies { unreadable, duplicates })
}

fn folders() -> impl Strategy<Value = PartFolders> {
    let folder = || option::of(text());
    (folder(), folder(), folder()).prop_map(|(train, validation, test)| PartFolders { train, validation, test })
}

pub(crate) fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        (text(), option::of(finite()), option::of(pattern()), folders(), policies()).prop_map(
            |(path, test_fraction, groups, folders, policies)| Source::ImageFolder {
                path,
                test_fraction,
                groups,
                folders,
                policies,
            }
        ),
        (text(), option::of(finite()), policies()).prop_map(|(path, test_fraction, policies)| Source::List {
            path,
            test_fraction,
            policies
        }),
        (text(), option::of(finite())).prop_map(|(path, test_fraction)| Source::Arrays { path, test_fraction }),
        (text(), option::of(finite())).prop_map(|(path, test_fraction)| Source::Parquet { path, test_fraction }),
        (text(), option::of(finite())).prop_map(|(path, test_fraction)| Source::Webdataset { path, test_fraction }),
        text().prop_map(|path| Source::Cifar10 { path }),
        text().prop_map(|path| Source::Cifar100 { path }),
        text().prop_map(|path| Source::Idx { path }),
        (short(), short(), number()).prop_map(|(train_per_class, test_per_class, seed)| {
            Source::Procedural(Procedural { train_per_class, test_per_class, seed })
        }),
    ]
}

fn data() -> impl Strategy<Value = DataSpec> {
    let three = || [finite32(), finite32(), finite32()];
    let normalize = prop_oneof![
        Just(Normalize::Train),
        Just(Normalize::None),
        (three(), three()).prop_map(|(mean, std)| Normalize::Given { mean, std }),
    ];
    let fit = select(Fit::ALL.map(|(_, fit)| fit).to_vec());
    (hash(), short(), short(), normalize, option::of(finite()), fit).prop_map(
        |(fingerprint, classes, image_size, normalize, test_fraction, fit)| DataSpec {
            fingerprint: Fingerprint(fingerprint),
            classes,
            image_size,
            normalize,
            test_fraction,
            fit,
        },
    )
}

fn split() -> impl Strategy<Value = SplitSpec> {
    let fraction =
        (1..=1_000_000u32).prop_map(|parts| Fraction::new(f64::from(parts) / 1e6).expect("within its range"));
    (number(), fraction).prop_map(|(seed, fraction)| SplitSpec { seed, fraction })
}

fn encoder() -> impl Strategy<Value = EncoderSpec> {
    let stem = || select(vec![Stem::Small, Stem::Large]);
    prop_oneof![
        (short(), short()).prop_map(|(width, blocks)| EncoderSpec::SmallCnn { width, blocks }),
        short().prop_map(|blocks| EncoderSpec::Nin { blocks }),
        stem().prop_map(|stem| EncoderSpec::Resnet18 { stem }),
        stem().prop_map(|stem| EncoderSpec::Resnet50 { stem }),
    ]
}

fn labelled_view() -> impl Strategy<Value = LabelledView> {
    let resized = (finite32(), any::<bool>()).prop_map(|(min_crop, flip)| ResizedFlip { min_crop, flip });
    prop_oneof![crop().prop_map(LabelledView::Padded), resized.prop_map(LabelledView::Resized)]
}

fn crop() -> impl Strategy<Value = CropFlip> {
    (short(), any::<bool>()).prop_map(|(padding, flip)| CropFlip { padding, flip })
}

fn task() -> impl Strategy<Value = PretextTask> {
    let chances =
        (finite32(), finite32(), finite32()).prop_map(|(jitter, grayscale, blur)| Chances { jitter, grayscale, blur });
    let chances = prop_oneof![Just(Chances::default()), chances];
    prop_oneof![
        crop().prop_map(|augment| PretextTask::Rotation(rotation::Task { augment })),
        (crop(), finite32())
            .prop_map(|(augment, strength)| PretextTask::RotationJitter(rotation_jitter::Task { augment, strength })),
        (finite32(), short(), finite32(), finite32(), any::<bool>(), chances).prop_map(
            |(temperature, projection, strength, min_crop, flip, chances)| PretextTask::Simclr(simclr::Task {
                temperature,
                projection,
                strength,
                min_crop,
                flip,
                chances,
            })
        ),
    ]
}

fn optimizer() -> impl Strategy<Value = OptimizerSpec> {
    prop_oneof![
        (finite(), finite()).prop_map(|(momentum, weight_decay)| OptimizerSpec::Sgd { momentum, weight_decay }),
        (finite(), finite()).prop_map(|(momentum, weight_decay)| OptimizerSpec::Nesterov { momentum, weight_decay }),
        finite().prop_map(|weight_decay| OptimizerSpec::Adam { weight_decay }),
        finite().prop_map(|weight_decay| OptimizerSpec::AdamW { weight_decay }),
        (finite(), finite(), finite()).prop_map(|(momentum, weight_decay, trust)| OptimizerSpec::Lars {
            momentum,
            weight_decay,
            trust
        }),
    ]
}

fn lr() -> impl Strategy<Value = LrSpec> {
    let shape = prop_oneof![
        Just(CycleShape::Triangular),
        Just(CycleShape::Triangular2),
        finite().prop_map(|gamma| CycleShape::ExpRange { gamma }),
    ];
    prop_oneof![
        finite().prop_map(|base| LrSpec::Constant { base }),
        (finite(), finite()).prop_map(|(base, warmup_epochs)| LrSpec::Cosine { base, warmup_epochs }),
        (finite(), finite(), vec(short(), 0..3)).prop_map(|(base, gamma, milestones)| LrSpec::Step {
            base,
            gamma,
            milestones
        }),
        (finite(), finite(), finite(), finite()).prop_map(|(base, pct_start, div_factor, final_div_factor)| {
            LrSpec::OneCycle { base, pct_start, div_factor, final_div_factor }
        }),
        (finite(), finite(), finite(), shape).prop_map(|(base, low, half_cycle_epochs, shape)| LrSpec::Cyclical {
            base,
            low,
            half_cycle_epochs,
            shape,
        }),
    ]
}

fn train() -> impl Strategy<Value = TrainSpec> {
    let budget = prop_oneof![short().prop_map(Budget::Epochs), number().prop_map(Budget::Steps)];
    (budget, short(), optimizer(), select(vec![DecayOn::Weights, DecayOn::All]), lr())
        .prop_map(|(budget, batch, optimizer, decay, lr)| TrainSpec { budget, batch, optimizer, decay, lr })
}

fn pretext() -> impl Strategy<Value = StageSpec> {
    let images = select(vec![PretextImages::Given, PretextImages::Noise, PretextImages::PreRotated]);
    let knn = (short(), finite32(), short()).prop_map(|(k, temperature, every)| KnnSpec { k, temperature, every });
    (data(), split(), number(), encoder(), task(), images, option::of(knn), option::of(hash()), train()).prop_map(
        |(data, split, seed, encoder, task, images, knn, weights, train)| {
            let weights = weights.map(WeightsHash);
            StageSpec::Pretext(PretextSpec { data, split, seed, encoder, task, images, knn, weights, train })
        },
    )
}

fn downstream() -> impl Strategy<Value = StageSpec> {
    let mode = select(vec![DownstreamMode::FineTune, DownstreamMode::Frozen]);
    let head = select(vec![DownstreamHead::Linear, DownstreamHead::Mlp]);
    let parents = (option::of(hash()), option::of(hash()));
    (data(), split(), number(), encoder(), parents, mode, head, labelled_view(), train()).prop_map(
        |(data, split, seed, encoder, (pretext, weights), mode, head, augment, train)| {
            let (pretext, weights) = (pretext.map(StageId), weights.map(WeightsHash));
            StageSpec::Downstream(DownstreamSpec {
                data,
                split,
                seed,
                encoder,
                pretext,
                weights,
                mode,
                head,
                augment,
                train,
            })
        },
    )
}

pub(crate) fn stage() -> impl Strategy<Value = Stage> {
    let test = (data(), encoder(), hash()).prop_map(|(data, encoder, downstream)| {
        StageSpec::Test(TestSpec { data, encoder, downstream: StageId(downstream) })
    });
    (prop_oneof![pretext(), downstream(), test], class(), select(vec![Extent::Whole, Extent::Smoke]))
        .prop_map(|(spec, class, extent)| Stage { spec, class, extent })
}

/// Returns a grant and the plan of its stage, for a worker that has the data at the plan's path.
pub(crate) fn grant() -> impl Strategy<Value = (Grant, StageRecord)> {
    let policy = (finite(), short()).prop_map(|(every_seconds, keep)| CheckpointPolicy { every_seconds, keep });
    let resume = || (artifact(), number()).prop_map(|(artifact, step)| Checkpoint { artifact, step });
    let cost = Cost { train_images: 1, validation_images: 1, epochs: 1, steps: 1, images_seen: 1 };
    let artifacts = (option::of(artifact()), option::of(artifact()), option::of(resume()), vec(resume(), 0..3));
    (attempt(), stage(), source(), option::of(something()), policy, artifacts).prop_map(
        move |(attempt, stage, source, weights, checkpoint, (packing, parent_model, resume_from, predecessors))| {
            let kind = stage.spec.kind();
            let grant = Grant { attempt, kind, place: None, packing, parent_model, resume_from, predecessors };
            (grant, StageRecord { stage, cost, source, weights, checkpoint })
        },
    )
}

fn counts() -> impl Strategy<Value = CellCounts> {
    let count = || short().prop_map(|count| count as usize);
    (count(), count(), count(), count(), count()).prop_map(|(pending, running, succeeded, failed, cancelled)| {
        CellCounts { pending, running, succeeded, failed, cancelled }
    })
}

fn running() -> impl Strategy<Value = RunningStage> {
    let kind = select(vec![StageKind::Pretext, StageKind::Downstream, StageKind::Test]).prop_map(StageKind::as_str);
    (attempt(), text(), short(), kind, text(), text(), number(), number()).prop_map(
        |(attempt, cell, cells, kind, worker, device, step, total)| RunningStage {
            attempt,
            cell,
            cells: cells as usize,
            kind,
            worker,
            device,
            step,
            total,
        },
    )
}

pub(crate) fn status() -> impl Strategy<Value = SweepStatus> {
    let mark = prop_oneof![Just(SweepMark::Active), vec(short(), 0..3).prop_map(SweepMark::Cancelled)];
    let id = ("[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", hash()).prop_map(|(name, hash)| SweepId::new(&name, hash));
    let extent = select(vec![Extent::Whole, Extent::Smoke]);
    let pair = || (number(), number());
    (id, counts(), number(), mark, extent, vec(running(), 0..3), pair(), pair(), vec(text(), 0..3)).prop_map(
        |(id, cells, submitted_ms, mark, extent, running, steps, images, obstacles)| SweepStatus {
            id,
            cells,
            submitted_ms,
            mark,
            extent,
            running,
            steps,
            images,
            obstacles,
        },
    )
}

pub(crate) fn view() -> impl Strategy<Value = WorkerView> {
    let holds = vec((attempt(), text(), number()), 0..3);
    let state = prop_oneof![Just(DeviceState::OnProbation), text().prop_map(|reason| DeviceState::Drained { reason })];
    let unwell = btree_map(text(), state, 0..3);
    (worker(), offer(), unwell, holds, number(), any::<bool>()).prop_map(
        |(worker, offer, unwell, holds, silent_ms, connected)| WorkerView {
            worker,
            offer,
            unwell,
            holds,
            silent_ms,
            connected,
        },
    )
}
