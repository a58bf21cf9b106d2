//! The test of a trained model: scores every test image once, without augmentation.

use std::time::Instant;

use burn::module::Module;
use pretext_shared::outcome::{ArtifactKind, Score};
use pretext_shared::point::{Metric, Part};
use pretext_shared::stage::{Extent, TestSpec};
use pretext_shared::text::counted;
use pretext_shared::trainer::{Finished, Report};

use super::outputs::{Prediction, write_predictions};
use super::room::{self, Written};
use super::{Context, End, Reporter, StageError, load};
use crate::methods::Samples;
use crate::models::{HeadSpec, Model};

/// Pixels in one batch: 256 images of 32 × 32, 5 of 224 × 224.
const BATCH_PIXELS: usize = 256 * 32 * 32;

pub(super) fn run(context: &Context<'_>, spec: &TestSpec, reporter: &mut Reporter<'_>) -> Result<End, StageError> {
    let begin = Instant::now();
    let device = context.compute.plain();
    let path = context.parent(spec.downstream)?;
    let (description, network) = load(path, &spec.encoder, &device)?;
    let classes = spec.data.classes as usize;
    let fits = [HeadSpec::Linear { outputs: classes }, HeadSpec::Mlp { outputs: classes }];
    if !fits.contains(&description.head) {
        let what = format!("its head is {:?}, but the test needs {}", description.head, counted(classes, "class"));
        return Err(StageError::Misfit { path: path.to_owned(), what });
    }
    let network = network.valid();
    let images = &context.data.test;
    let samples = Samples { images, ..context.samples(0) };
    let batch = (BATCH_PIXELS / (images.size() * images.size())).clamp(1, 256);
    let ids = match context.run.stage.extent {
        Extent::Whole => images.ids(),
        Extent::Smoke => &images.ids()[..batch.min(images.len())],
    };
    reporter.send(Report::Started { step: 0, total: ids.len().div_ceil(batch) as u64 });
    let mut predictions = Vec::with_capacity(ids.len());
    let mut loss = 0.0;
    for (step, ids) in (1..).zip(ids.chunks(batch)) {
        if reporter.stop_requested() {
            return Ok(End::Stopped { step: step - 1 });
        }
        let (inputs, _) = samples.plain(ids).upload(&device);
        let outputs = network.forward(inputs).try_into_vec_as::<f32>()?;
        for (id, outputs) in ids.iter().zip(outputs.chunks_exact(classes)) {
            let (prediction, loss_of) = predict(*id, images.label(*id), outputs);
            loss += loss_of;
            predictions.push(prediction);
        }
        reporter.tick(step, predictions.len() as u64);
    }
    let seen = predictions.len() as u64;
    let correct = predictions.iter().filter(|prediction| prediction.predicted == prediction.label).count();
    let score = Score { loss: loss / seen.max(1) as f64, accuracy: correct as f64 / seen.max(1) as f64, seen };
    if !score.loss.is_finite() {
        return Err(StageError::Misfit { path: path.to_owned(), what: "its outputs are not finite".to_owned() });
    }
    reporter.point(Part::Test, Metric::Loss, 0, 0, score.loss);
    reporter.point(Part::Test, Metric::Accuracy, 0, 0, score.accuracy);
    let file = context.run.folder.join("predictions.csv");
    let written = room::write(reporter, || Ok(write_predictions(&file, images, classes, &predictions)?))?;
    if written == Written::Stopped {
        return Ok(End::Stopped { step: ids.len().div_ceil(batch) as u64 });
    }
    let seconds = begin.elapsed().as_secs_f64();
    let files = [(ArtifactKind::Predictions, file)].into();
    Ok(End::Finished(Finished { selected_epoch: 0, score, steps: 0, images: 0, seconds, files }))
}

/// Returns the softmax in f64, and -log of the label's probability.
fn predict(sample: u32, label: u32, outputs: &[f32]) -> (Prediction, f64) {
    let max = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shares: Vec<f64> = outputs.iter().map(|output| f64::from(output - max).exp()).collect();
    let sum: f64 = shares.iter().sum();
    let predicted = outputs.iter().position(|output| *output == max).unwrap_or(0) as u32;
    let loss = sum.ln() - f64::from(outputs[label as usize] - max);
    let probabilities = shares.iter().map(|share| share / sum).collect();
    (Prediction { sample, label, predicted, probabilities }, loss)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_and_loss() {
        let (prediction, loss) = predict(7, 2, &[1.0, 3.0, 2.0, 3.0]);
        assert_eq!((prediction.sample, prediction.label, prediction.predicted), (7, 2, 1), "of equal ones the first");
        assert!((prediction.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((loss + prediction.probabilities[2].ln()).abs() < 1e-12);
        // Values far apart: no overflow, no -0 · ∞.
        let (prediction, loss) = predict(0, 1, &[500.0, -500.0]);
        assert_eq!((prediction.probabilities[0], loss), (1.0, 1000.0));
    }
}
