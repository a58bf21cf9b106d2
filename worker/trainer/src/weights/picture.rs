//! The features of one fixed picture. Another program that has loaded an exported encoder compares its own features
//! with them.

use burn::tensor::{Device, Tensor, TensorData, TensorReadError};

use crate::models::Encoder;

/// Height and width of the picture.
pub(super) const SIZE: usize = 64;
/// Its stream of [`noise`].
const STREAM: u32 = 1000;
/// Number of features that are printed: a wrong layer, order or normalisation shows in each of them.
const TOLD: usize = 16;

/// Returns numbers in [-1, 1): a hash of the position and the stream, which is one line in any language
/// (`tests/golden/weights.py` has it in Python).
pub(super) fn noise(count: usize, stream: u32) -> impl Iterator<Item = f64> {
    (1..=count as u32).map(move |position| {
        let mut h = position.wrapping_mul(2_654_435_761).wrapping_add(stream.wrapping_mul(40503));
        h ^= h >> 15;
        h = h.wrapping_mul(2_246_822_519);
        h ^= h >> 13;
        f64::from(h) / f64::from(1u32 << 31) - 1.0
    })
}

/// `count` pictures, `[count, 3, 64, 64]`.
pub(super) fn pictures(count: usize) -> Tensor<4> {
    let pixels: Vec<f32> = noise(count * 3 * SIZE * SIZE, STREAM).map(|x| x as f32).collect();
    Tensor::from_data(TensorData::new(pixels, [count, 3, SIZE, SIZE]), &Device::flex())
}

/// Returns the first features of the picture by `encoder`, which must be in evaluation mode on the plain CPU.
pub fn first_features(encoder: &Encoder) -> Result<Vec<f32>, TensorReadError> {
    let features = encoder.forward(pictures(1)).try_into_vec_as::<f32>()?;
    Ok(features.into_iter().take(TOLD).collect())
}
