//! Measures of a classifier on labelled images.

use serde::Serialize;

use super::predictions::Predictions;

/// Bins of the calibration error (Guo et al. 2017).
pub const BINS: usize = 15;

/// Numbers over all test images. `docs/statistics.md` has the formulas with their sources.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measures {
    /// Test images.
    pub images: u64,
    /// Mean negative log-likelihood of the label, in nats. A probability that the file rounds to 0 counts as the
    /// smallest number above it.
    pub nll: f64,
    /// Expected calibration error: 15 bins of equal width over the highest probability, each bin's
    /// |share correct − mean confidence| weighted by its images; in 0–1.
    pub ece15: f64,
    /// Brier score (1950): squared distance of the probabilities from the label, summed over classes; in 0–2.
    pub brier: f64,
    /// Mean recall of the classes that have test images, in 0–1.
    pub balanced_accuracy: f64,
    /// Mean F1 of the classes that have test images or answers, in 0–1.
    pub macro_f1: f64,
}

impl Measures {
    pub(super) fn of(predictions: &Predictions, confusion: &Confusion) -> Self {
        let mut bins = [(0.0, 0.0); BINS];
        let (mut nll, mut brier, mut images) = (0.0, 0.0, 0u64);
        for row in predictions.rows() {
            let label = row.label as usize;
            nll -= row.probabilities[label].max(f64::MIN_POSITIVE).ln();
            let distance = |(class, share): (usize, &f64)| (share - f64::from(u8::from(class == label))).powi(2);
            brier += row.probabilities.iter().enumerate().map(distance).sum::<f64>();
            let confidence = row.probabilities.iter().copied().fold(0.0, f64::max);
            // Bin m holds (m / 15, (m + 1) / 15].
            let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            bins[bin].0 += f64::from(u8::from(row.predicted == row.label));
            bins[bin].1 += confidence;
            images += 1;
        }
        let n = images.max(1) as f64;
        Self {
            images,
            nll: nll / n,
            ece15: bins.iter().map(|(correct, confidence)| (correct - confidence).abs()).sum::<f64>() / n,
            brier: brier / n,
            balanced_accuracy: mean(confusion.scores().filter(|class| class.support > 0).map(|class| class.recall)),
            macro_f1: mean(
                confusion.scores().filter(|class| class.support + class.predicted > 0).map(|class| class.f1),
            ),
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0u64), |(sum, n), value| (sum + value, n + 1));
    sum / n.max(1) as f64
}

/// Test images by label (rows) and answer (columns).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Confusion(Vec<Vec<u64>>);

/// One class against all others. A ratio without a denominator is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScores {
    /// Test images of the class.
    pub support: u64,
    /// Test images that were given to the class.
    pub predicted: u64,
    /// Share of the answers that are right.
    pub precision: f64,
    /// Share of the images that were found.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

impl Confusion {
    pub(super) fn of(predictions: &Predictions) -> Self {
        let mut counts = vec![vec![0; predictions.classes()]; predictions.classes()];
        predictions.rows().for_each(|row| counts[row.label as usize][row.predicted as usize] += 1);
        Self(counts)
    }

    /// Counts by label, and within a label by answer.
    pub fn rows(&self) -> &[Vec<u64>] {
        &self.0
    }

    /// The scores of the classes, in label order.
    pub fn scores(&self) -> impl Iterator<Item = ClassScores> {
        (0..self.0.len()).map(|class| {
            let hits = self.0[class][class];
            let support = self.0[class].iter().sum();
            let predicted = self.0.iter().map(|row| row[class]).sum();
            let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
            ClassScores {
                support,
                predicted,
                precision: ratio(hits, predicted),
                recall: ratio(hits, support),
                f1: ratio(2 * hits, support + predicted),
            }
        })
    }
}
