//! Convolution on the CPU: burn's flex backend takes two to four times as long (one product per image, a
//! scalar copy between layouts, the weight gradient as a convolution with swapped axes). Here several
//! images share one column matrix and one product. Other backends keep burn's `conv2d`.
//!
//! The seam: [`convolution`] is the only thing the models call. `kernel` is plain code on slices, `gemm` the one
//! unsafe call, `operation` ties both into burn's automatic differentiation.

mod gemm;
mod geometry;
mod kernel;
mod operation;

use burn::backend::DispatchDevice;
use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

/// Convolves `x`, `[batch, in, height, width]`, with `weight`, `[out, in, k, k]` (groups 1, dilation 1, no bias):
/// `[batch, out, (height + 2 padding - k) / stride + 1, …]`.
pub fn convolution(x: Tensor<4>, weight: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
    if matches!(x.device().inner().as_dispatch(), DispatchDevice::Flex(_)) {
        operation::convolution(x, weight, stride, padding)
    } else {
        conv2d(x, weight, None, ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use pretext_shared::draw::{Draw, Place, Purpose};

    use super::*;

    /// (batch, in, size, out, k, stride)
    const SHAPES: [(usize, usize, usize, usize, usize, usize); 9] = [
        (4, 3, 32, 16, 3, 1),
        (3, 16, 9, 8, 3, 2),
        (1, 5, 7, 4, 3, 1),
        (2, 8, 16, 4, 1, 1),
        (2, 8, 15, 4, 1, 2),
        (2, 3, 33, 8, 7, 2),
        (1, 1, 1, 1, 3, 1),
        (9, 40, 4, 24, 3, 1),
        (70, 6, 5, 3, 3, 2),
    ];

    fn random(shape: [usize; 4], sample: u64) -> TensorData {
        let mut draw = Draw::new(Place { seed: 1, purpose: Purpose::Init, epoch: 0, sample, view: 0 }, 0);
        TensorData::new((0..shape.iter().product()).map(|_| draw.range(-1.0, 1.0)).collect::<Vec<f32>>(), shape)
    }

    /// Output, gradient of x, gradient of the weight.
    fn run(shape: (usize, usize, usize, usize, usize, usize), burn: bool) -> [Vec<f32>; 3] {
        let (n, cin, size, cout, k, stride) = shape;
        let device = Device::flex().autodiff();
        let x = Tensor::<4>::from_data(random([n, cin, size, size], 1), &device).require_grad();
        let w = Tensor::<4>::from_data(random([cout, cin, k, k], 2), &device).require_grad();
        let y = if burn {
            conv2d(x.clone(), w.clone(), None, ConvOptions::new([stride; 2], [k / 2; 2], [1; 2], 1))
        } else {
            convolution(x.clone(), w.clone(), stride, k / 2)
        };
        let dy = Tensor::<4>::from_data(random(y.dims(), 3), &device);
        let grads = (y.clone() * dy).sum().backward();
        let vec = |t: Tensor<4>| t.try_into_vec_as::<f32>().expect("f32");
        [vec(y.inner()), vec(x.grad(&grads).expect("tracked")), vec(w.grad(&grads).expect("tracked"))]
    }

    #[test]
    fn equals_burns_convolution_and_its_gradients() {
        for shape in SHAPES {
            for (own, reference) in run(shape, false).iter().zip(run(shape, true)) {
                assert_eq!(own.len(), reference.len());
                let scale = reference.iter().fold(1e-6f32, |max, value| max.max(value.abs()));
                let worst = own.iter().zip(&reference).fold(0f32, |max, (a, b)| max.max((a - b).abs()));
                assert!(worst < 2e-5 * scale, "{shape:?}: {worst} of {scale}");
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let with = |threads, shape| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a small pool");
            pool.install(|| run(shape, false)).map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        for shape in SHAPES {
            assert_eq!(with(1, shape), with(3, shape), "{shape:?}");
        }
    }

    #[test]
    fn the_first_layer_needs_no_gradient_of_its_input() {
        let device = Device::flex().autodiff();
        let x = Tensor::<4>::from_data(random([2, 3, 8, 8], 1), &device);
        let w = Tensor::<4>::from_data(random([4, 3, 3, 3], 2), &device).require_grad();
        let grads = convolution(x.clone(), w.clone(), 1, 1).sum().backward();
        assert!(x.grad(&grads).is_none() && w.grad(&grads).is_some());
    }
}
