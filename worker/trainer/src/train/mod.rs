//! Runs a stage: pretext and downstream training in one loop, and the test of a trained model.

mod budget;
mod downstream;
mod error;
mod evaluate;
mod fit;
mod ledger;
mod model_file;
mod monitor;
mod outputs;
mod pretext;
mod reporter;
mod room;

#[cfg(test)]
mod control_tests;
#[cfg(test)]
mod evaluation_tests;
#[cfg(test)]
mod parity_tests;
#[cfg(test)]
pub(crate) mod small;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::device::Compute;
use crate::methods::Samples;
use crate::models::{HeadSpec, Network};
use crate::weights::{self, WeightsError};

pub use budget::Steps;
pub use error::StageError;
pub use model_file::{Description, load, load_any, load_encoder, save};
pub use reporter::Events;

use fit::Trained;
use pretext_checkpoint::Checkpoints;
use pretext_data::Dataset;
use pretext_shared::ids::{StageId, WeightsHash};
use pretext_shared::outcome::ArtifactKind;
use pretext_shared::split::Split;
use pretext_shared::stage::{EncoderSpec, StageSpec};
use pretext_shared::trainer::{Finished, Run};
use reporter::Reporter;
use room::Written;

/// How a stage ended without failing.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// The stage's outputs are in its folder.
    Finished(Finished),
    /// The caller asked the stage to stop after this many steps; a checkpoint is in its folder.
    Stopped {
        /// Steps taken.
        step: u64,
    },
}

/// Runs the stage of `run` on `data` (loaded by its data spec), from the newest whole checkpoint in its folder. Points
/// and progress go to `events`; the caller reports the end.
pub fn run_stage(run: &Run, compute: &Compute, data: &Dataset, events: &dyn Events) -> Result<End, StageError> {
    let (planned, here) = (run.stage.class, compute.class());
    if planned != here {
        return Err(StageError::OtherClass { planned, device: compute.name().to_string(), here });
    }
    let (planned, found) = (run.stage.spec.data().classes, data.classes.len());
    if planned as usize != found {
        return Err(StageError::OtherClasses { planned, found });
    }
    let context = Context { run, compute, data, id: run.stage.id() };
    let mut reporter = Reporter::new(events);
    let end = match &run.stage.spec {
        StageSpec::Pretext(spec) => pretext::run(&context, spec, &mut reporter),
        StageSpec::Downstream(spec) => downstream::run(&context, spec, &mut reporter),
        StageSpec::Test(spec) => evaluate::run(&context, spec, &mut reporter),
    };
    // The points of a failed stage are evidence: send them first.
    reporter.flush();
    end
}

/// The inputs that every kind of stage needs.
struct Context<'a> {
    run: &'a Run,
    compute: &'a Compute,
    data: &'a Dataset,
    id: StageId,
}

impl<'a> Context<'a> {
    /// Returns the training images, normalised as the stage asks for, with the draws of `seed`.
    fn samples(&self, seed: u64) -> Samples<'a> {
        let (mean, std) = self.data.normalization(&self.run.stage.spec.data().normalize);
        Samples { images: &self.data.train, mean, std, seed }
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(&self.run.folder, self.id, self.run.checkpoint.keep)
    }

    /// Returns the parent's model, which a stage with a parent needs.
    fn parent(&self, parent: StageId) -> Result<&'a Path, StageError> {
        self.run.parent.as_deref().ok_or_else(|| StageError::NoParent { parent: parent.short() })
    }

    /// Returns a network to train, with the initial weights of `seed`. If the stage has a weights file, the encoder's
    /// weights are read from it.
    fn initial(
        &self,
        encoder: &EncoderSpec,
        head: &HeadSpec,
        seed: u64,
        weights: Option<WeightsHash>,
    ) -> Result<Network, StageError> {
        let mut network = Network::new(encoder, head, seed, &self.compute.training());
        if let Some(sha256) = weights {
            let path = self.run.weights.as_deref().ok_or(WeightsError::NoPath)?;
            network.encoder = weights::load(network.encoder, &self.run.data_root, path, sha256)?;
        }
        Ok(network)
    }

    /// Writes the model and the sample list of a stage that trained `network`.
    fn finish(
        &self,
        description: &Description,
        trained: Trained<Network>,
        split: &Split,
        reporter: &Reporter<'_>,
    ) -> Result<End, StageError> {
        let Trained { model, best, steps, images, seconds } = trained;
        let (model_path, split_path) = (self.run.folder.join("model.bin"), self.run.folder.join("split.csv"));
        let written = room::write(reporter, || {
            save(&model_path, description, &model)?;
            Ok(outputs::write_split(&split_path, &self.data.train, split)?)
        })?;
        if written == Written::Stopped {
            return Ok(End::Stopped { step: steps });
        }
        let files = [(ArtifactKind::Model, model_path), (ArtifactKind::Split, split_path)].into();
        Ok(End::Finished(Finished { selected_epoch: best.epoch, score: best.score(), steps, images, seconds, files }))
    }
}
