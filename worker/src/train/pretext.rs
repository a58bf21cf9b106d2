//! Pretext training: learns an encoder without labels.

use pretext_shared::split::split;
use pretext_shared::stage::{PretextSpec, PretextTask};

use super::fit::{Fit, Fitted};
use super::{Context, Description, End, Reporter, StageError};
use crate::augment::{ColorJitter, SimclrView};
use crate::methods::{Objective, Rotation, RotationJitter, Samples, Simclr};
use crate::models::{HeadSpec, Network};

pub(super) fn run(context: &Context<'_>, spec: &PretextSpec, reporter: &mut Reporter<'_>) -> Result<End, StageError> {
    let samples = context.samples(spec.seed);
    match spec.task {
        PretextTask::Rotation { augment } => {
            let head = HeadSpec::Linear { outputs: 4 };
            train(context, spec, head, &Rotation { samples, augment }, reporter)
        }
        PretextTask::RotationJitter { augment, strength } => {
            let objective = RotationJitter { samples, augment, jitter: ColorJitter { strength } };
            train(context, spec, HeadSpec::Linear { outputs: 4 }, &objective, reporter)
        }
        PretextTask::Simclr { temperature, projection, strength, min_crop, flip } => {
            let Samples { images, .. } = samples;
            let view = SimclrView::new(images.size(), strength, min_crop, flip);
            let head = HeadSpec::Projection { outputs: projection as usize };
            train(context, spec, head, &Simclr { samples, view, temperature }, reporter)
        }
    }
}

fn train<O: Objective>(
    context: &Context<'_>,
    spec: &PretextSpec,
    head: HeadSpec,
    objective: &O,
    reporter: &mut Reporter<'_>,
) -> Result<End, StageError> {
    let split = split(&context.data.train.members(), spec.split)?;
    let network = Network::new(&spec.encoder, &head, spec.seed, &context.compute.training());
    let fit = Fit {
        stage: context.id,
        objective,
        split: &split,
        train: &spec.train,
        seed: spec.seed,
        extent: context.run.stage.extent,
        compute: context.compute,
        checkpoints: &context.checkpoints(),
        policy: context.run.checkpoint,
    };
    match fit.run(network, reporter)? {
        Fitted::Done(trained) => context.finish(&Description { encoder: spec.encoder.clone(), head }, trained, &split),
        Fitted::Stopped { step } => Ok(End::Stopped { step }),
    }
}
