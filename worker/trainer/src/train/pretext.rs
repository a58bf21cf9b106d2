//! Pretext training: learns an encoder without labels.

use pretext_data::augment::{ColorJitter, SimclrView};
use pretext_shared::methods::{rotation, rotation_jitter, simclr};
use pretext_shared::stage::{PretextSpec, PretextTask};

use super::fit::{Fit, Fitted};
use super::monitor::Monitor;
use super::{Context, Description, End, Reporter, StageError};
use crate::methods::{Objective, Rotation, RotationJitter, Samples, Simclr, control_images};
use crate::models::HeadSpec;

pub(super) fn run(context: &Context<'_>, spec: &PretextSpec, reporter: &mut Reporter<'_>) -> Result<End, StageError> {
    let control = control_images(&context.data.train, spec.images, spec.seed);
    let images = control.as_ref().unwrap_or(&context.data.train);
    let samples = Samples { images, ..context.samples(spec.seed) };
    match spec.task {
        PretextTask::Rotation(rotation::Task { augment }) => {
            let head = HeadSpec::Linear { outputs: 4 };
            train(context, spec, head, &Rotation { samples, augment }, samples, reporter)
        }
        PretextTask::RotationJitter(rotation_jitter::Task { augment, strength }) => {
            let objective = RotationJitter { samples, augment, jitter: ColorJitter { strength } };
            train(context, spec, HeadSpec::Linear { outputs: 4 }, &objective, samples, reporter)
        }
        PretextTask::Simclr(simclr::Task { temperature, projection, strength, min_crop, flip, chances }) => {
            let view = SimclrView::new(images.size(), strength, min_crop, flip, chances);
            let head = HeadSpec::Projection { outputs: projection as usize };
            train(context, spec, head, &Simclr { samples, view, temperature }, samples, reporter)
        }
    }
}

fn train<O: Objective>(
    context: &Context<'_>,
    spec: &PretextSpec,
    head: HeadSpec,
    objective: &O,
    samples: Samples<'_>,
    reporter: &mut Reporter<'_>,
) -> Result<End, StageError> {
    let split = context.data.train.split(spec.split)?;
    let network = context.initial(&spec.encoder, &head, spec.seed, spec.weights)?;
    let extent = context.run.stage.extent;
    let monitor = spec.knn.map(|knn| Monitor::new(knn, samples, &split, spec.train.batch, extent, context.compute));
    let fit = Fit {
        stage: context.id,
        objective,
        last: spec.task.rules().last,
        split: &split,
        train: &spec.train,
        seed: spec.seed,
        extent,
        compute: context.compute,
        checkpoints: &context.checkpoints(),
        policy: context.run.checkpoint,
        monitor,
    };
    match fit.run(network, reporter)? {
        Fitted::Done(trained) => {
            context.finish(&Description { encoder: spec.encoder.clone(), head }, trained, &split, reporter)
        }
        Fitted::Stopped { step } => Ok(End::Stopped { step }),
    }
}
