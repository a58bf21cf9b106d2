//! Softmax cross-entropy, the loss of every method that predicts a class.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

use super::Scores;

/// Returns the mean over the batch of -log of the label's share of softmax(outputs), and the number of inputs whose
/// largest output is the label. Outputs are `[batch, classes]`, labels `[batch]`.
pub fn cross_entropy(outputs: Tensor<2>, labels: Tensor<1, Int>) -> Scores {
    let [batch, _] = outputs.dims();
    let predicted = outputs.clone().inner().argmax(1).reshape([batch]);
    let correct = predicted.equal(labels.clone().inner()).int().sum();
    let loss = log_softmax(outputs, 1).gather(1, labels.reshape([batch, 1])).mean().neg();
    Scores { loss, correct, seen: batch as u64 }
}
