//! Downstream training: learns the classes with the whole network, or with a head on a frozen encoder.

use std::sync::Arc;

use burn::module::Module;
use pretext_data::augment::Labelled;
use pretext_shared::ids::ContentHash;
use pretext_shared::split::Split;
use pretext_shared::stage::{DownstreamHead, DownstreamMode, DownstreamSpec, Extent, LastBatch};

use super::fit::{Fit, Fitted, Trained, epoch_order};
use super::model_file::record;
use super::{Context, Description, End, Reporter, StageError, load_encoder};
use crate::methods::{FrozenFeatures, Objective, Samples, Supervised, encode};
use crate::models::{Encoder, HeadSpec, Model, Network, Probe};

pub(super) fn run(
    context: &Context<'_>,
    spec: &DownstreamSpec,
    reporter: &mut Reporter<'_>,
) -> Result<End, StageError> {
    let split = context.data.train.split(spec.split)?;
    let outputs = spec.data.classes as usize;
    let head = match spec.head {
        DownstreamHead::Linear => HeadSpec::Linear { outputs },
        DownstreamHead::Mlp => HeadSpec::Mlp { outputs },
    };
    let trained = match spec.mode {
        DownstreamMode::FineTune => fine_tune(context, spec, &head, &split, reporter)?,
        DownstreamMode::Frozen => probe(context, spec, &head, &split, reporter)?,
    };
    match trained {
        Fitted::Done(trained) => {
            context.finish(&Description { encoder: spec.encoder.clone(), head }, trained, &split, reporter)
        }
        Fitted::Stopped { step } => Ok(End::Stopped { step }),
    }
}

/// Returns the network that training starts from: with initial weights, or with the parent's encoder.
fn start(context: &Context<'_>, spec: &DownstreamSpec, head: &HeadSpec) -> Result<Network, StageError> {
    let mut network = context.initial(&spec.encoder, head, spec.seed, spec.weights)?;
    if let Some(pretext) = spec.pretext {
        network.encoder = load_encoder(context.parent(pretext)?, &spec.encoder, &context.compute.training())?;
    }
    Ok(network)
}

fn fine_tune(
    context: &Context<'_>,
    spec: &DownstreamSpec,
    head: &HeadSpec,
    split: &Split,
    reporter: &mut Reporter<'_>,
) -> Result<Fitted<Network>, StageError> {
    let samples = context.samples(spec.seed);
    let objective = Supervised { samples, augment: Labelled::new(samples.images.size(), spec.augment) };
    fit(context, spec, split, &objective, start(context, spec, head)?, reporter)
}

/// Trains a head on a frozen encoder. Features are computed once for all heads that a trainer is given on the same
/// images, by the encoder in evaluation mode, on images without augmentation. The encoder is never on a training
/// device, so neither its weights nor its running statistics can change.
fn probe(
    context: &Context<'_>,
    spec: &DownstreamSpec,
    head: &HeadSpec,
    split: &Split,
    reporter: &mut Reporter<'_>,
) -> Result<Fitted<Network>, StageError> {
    let encoder = start(context, spec, head)?.encoder.valid();
    let samples = context.samples(spec.seed);
    let (batch, features) = (spec.train.batch.max(1) as usize, spec.encoder.features());
    let mut ids = split.train.clone();
    let mut validation = split.validation.clone();
    if context.run.stage.extent == Extent::Smoke {
        // A smoke run needs only two steps and one validation batch.
        ids = epoch_order(split, spec.seed, 1);
        ids.truncate(2 * batch);
        validation.truncate(batch);
    }
    ids.extend(validation);
    let key = features_key(&encoder, &samples, &ids, batch)?;
    let rows = match context.data.features.get(key) {
        Some(rows) => rows,
        None => {
            let (device, forward) = (context.compute.plain(), |images| encoder.forward(images));
            let Some(rows) = encode(forward, &samples, &ids, batch, &device, || !reporter.stop_requested())? else {
                return Ok(Fitted::Stopped { step: 0 });
            };
            let rows = Arc::new(rows);
            context.data.features.keep(key, Arc::clone(&rows));
            rows
        }
    };
    let objective = FrozenFeatures::new(&samples, &ids, features, rows);
    let probe = Probe::new(features, head, spec.seed, &context.compute.training());
    Ok(match fit(context, spec, split, &objective, probe, reporter)? {
        Fitted::Done(Trained { model, best, steps, images, seconds }) => {
            let model = Network { encoder, head: model.head };
            Fitted::Done(Trained { model, best, steps, images, seconds })
        }
        Fitted::Stopped { step } => Fitted::Stopped { step },
    })
}

/// Returns a hash of everything that determines the bits of the features of a data set's images on a trainer's device.
fn features_key(
    encoder: &Encoder,
    samples: &Samples<'_>,
    ids: &[u32],
    batch: usize,
) -> Result<ContentHash, StageError> {
    let mut content = ContentHash::of(&record(encoder, "encoder")?).as_bytes().to_vec();
    content.extend(samples.mean.iter().chain(&samples.std).flat_map(|value| value.to_le_bytes()));
    content.extend((batch as u64).to_le_bytes());
    content.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
    Ok(ContentHash::of(&content))
}

fn fit<M: Model, O: Objective>(
    context: &Context<'_>,
    spec: &DownstreamSpec,
    split: &Split,
    objective: &O,
    model: M,
    reporter: &mut Reporter<'_>,
) -> Result<Fitted<M>, StageError> {
    let fit = Fit {
        stage: context.id,
        objective,
        last: LastBatch::Kept,
        split,
        train: &spec.train,
        seed: spec.seed,
        extent: context.run.stage.extent,
        compute: context.compute,
        checkpoints: &context.checkpoints(),
        policy: context.run.checkpoint,
        monitor: None,
    };
    fit.run(model, reporter)
}
