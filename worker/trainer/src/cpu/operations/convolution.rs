//! The convolution as an operation of burn, with a backward pass of its own.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use super::tensor;
use crate::cpu::conv;
use crate::cpu::geometry::Geometry;
use crate::cpu::profile::{Operation, timed};

/// The macro generates the implementation for `Dispatch`, the type behind `Tensor`. A backend that is not named here
/// panics, so the models choose a backend first.
#[backend_extension(Flex, Autodiff)]
trait Convolution: Backend {
    /// Returns `y` for `x` and `w`.
    fn convolve(x: FloatTensor<Self>, w: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;
}

/// Convolves `x`, `[batch, height, width, in]`, with `weight`, `[out, in, k, k]` (groups 1, dilation 1, no bias).
/// Returns `[batch, (height + 2 pad - k) / stride + 1, …, out]`. Works on flex devices only.
pub fn convolution(x: Tensor<4>, weight: Tensor<4>, stride: usize, pad: usize) -> Tensor<4> {
    let [n, h, w, cin] = x.dims();
    let [cout, channels, k, width] = weight.dims();
    assert!(channels == cin && width == k, "a {k}x{width} kernel of {channels} channels does not fit {cin} channels");
    assert!(n > 0 && h + 2 * pad >= k && w + 2 * pad >= k, "a {k}x{k} kernel does not fit {n} images of {h}x{w}");
    let geometry = Geometry { n, cin, h, w, cout, k, stride, pad };
    Tensor::from_dispatch(Dispatch::convolve(x.into_dispatch(), weight.into_dispatch(), geometry))
}

impl Convolution for Flex {
    fn convolve(x: FlexTensor, w: FlexTensor, g: Geometry) -> FlexTensor {
        // `to_contiguous` copies only if needed.
        let (x, w) = (x.to_contiguous(), w.to_contiguous());
        let y = timed(Operation::Convolution, || conv::forward(&g, x.storage(), w.storage()));
        tensor(y, [g.n, g.oh(), g.ow(), g.cout])
    }
}

#[derive(Debug)]
struct ConvolutionStep;

impl Backward<Flex, 2> for ConvolutionStep {
    type State = (FlexTensor, FlexTensor, Geometry);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_w] = ops.parents;
        let dy = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x, w, g) = ops.state;
        if let Some(node) = node_w {
            let dw = timed(Operation::ConvolutionWeight, || conv::backward_weight(&g, x.storage(), dy.storage()));
            grads.register::<Flex>(node.id, tensor(dw, [g.cout, g.cin, g.k, g.k]));
        }
        if let Some(node) = node_x {
            let dx = timed(Operation::ConvolutionInput, || conv::backward_input(&g, w.storage(), dy.storage()));
            grads.register::<Flex>(node.id, tensor(dx, [g.n, g.h, g.w, g.cin]));
        }
    }
}

impl<C: CheckpointStrategy> Convolution for Autodiff<Flex, C> {
    fn convolve(x: FloatTensor<Self>, w: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        match ConvolutionStep.prepare::<C>([x.node(), w.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (x, w) = (x.into_primitive().to_contiguous(), w.into_primitive().to_contiguous());
                prep.finish((x.clone(), w.clone(), geometry), Flex::convolve(x, w, geometry))
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::convolve(x.into_primitive(), w.into_primitive(), geometry)),
        }
    }
}
