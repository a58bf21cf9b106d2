//! The convolution as an operation of burn, with a backward pass of its own.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};

use super::geometry::Geometry;
use super::kernel;

/// The forward pass and the two gradients. The macro generates the implementation for `Dispatch`, the type
/// behind `Tensor`; a backend that is not named here panics, so [`super::convolution`] chooses first.
#[backend_extension(Flex, Autodiff)]
trait Convolution: Backend {
    /// `y` of `x` and `w`.
    fn convolve(x: FloatTensor<Self>, w: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;
    /// The gradient of `x`.
    fn convolve_input(w: FloatTensor<Self>, dy: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;
    /// The gradient of `w`.
    fn convolve_weight(x: FloatTensor<Self>, dy: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;
}

/// See [`super::convolution`]; on flex devices only.
pub(super) fn convolution(x: Tensor<4>, weight: Tensor<4>, stride: usize, pad: usize) -> Tensor<4> {
    let [n, cin, h, w] = x.dims();
    let [cout, channels, k, width] = weight.dims();
    assert!(channels == cin && width == k, "a {k}x{width} kernel of {channels} channels does not fit {cin} channels");
    assert!(n > 0 && h + 2 * pad >= k && w + 2 * pad >= k, "a {k}x{k} kernel does not fit {n} images of {h}x{w}");
    let geometry = Geometry { n, cin, h, w, cout, k, stride, pad };
    Tensor::from_dispatch(Dispatch::convolve(x.into_dispatch(), weight.into_dispatch(), geometry))
}

fn tensor(values: Vec<f32>, shape: [usize; 4]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

impl Convolution for Flex {
    fn convolve(x: FlexTensor, w: FlexTensor, g: Geometry) -> FlexTensor {
        // `to_contiguous` copies only where it must.
        let (x, w) = (x.to_contiguous(), w.to_contiguous());
        tensor(kernel::forward(&g, x.storage(), w.storage()), [g.n, g.cout, g.oh(), g.ow()])
    }

    fn convolve_input(w: FlexTensor, dy: FlexTensor, g: Geometry) -> FlexTensor {
        let (w, dy) = (w.to_contiguous(), dy.to_contiguous());
        tensor(kernel::backward_input(&g, w.storage(), dy.storage()), [g.n, g.cin, g.h, g.w])
    }

    fn convolve_weight(x: FlexTensor, dy: FlexTensor, g: Geometry) -> FlexTensor {
        let (x, dy) = (x.to_contiguous(), dy.to_contiguous());
        tensor(kernel::backward_weight(&g, x.storage(), dy.storage()), [g.cout, g.cin, g.k, g.k])
    }
}

#[derive(Debug)]
struct ConvolutionStep;

impl<B: Convolution> Backward<B, 2> for ConvolutionStep {
    type State = (NodeId, NodeId, Geometry);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [node_x, node_w] = ops.parents;
        let dy = grads.consume::<B>(&ops.node);
        let (x, w, geometry) = ops.state;
        // Both are taken out whether they are needed or not: the checkpointer counts the uses.
        let x = checkpointer.retrieve_node_output::<B::FloatTensorPrimitive>(x);
        let w = checkpointer.retrieve_node_output::<B::FloatTensorPrimitive>(w);
        if let Some(node) = node_x {
            grads.register::<B>(node.id, B::convolve_input(w, dy.clone(), geometry));
        }
        if let Some(node) = node_w {
            grads.register::<B>(node.id, B::convolve_weight(x, dy, geometry));
        }
    }
}

impl<B: Convolution, C: CheckpointStrategy> Convolution for Autodiff<B, C> {
    fn convolve(x: FloatTensor<Self>, w: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        match ConvolutionStep.prepare::<C>([x.node(), w.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), prep.checkpoint(&w), geometry);
                prep.finish(state, B::convolve(x.into_primitive(), w.into_primitive(), geometry))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::convolve(x.into_primitive(), w.into_primitive(), geometry)),
        }
    }

    fn convolve_input(_: FloatTensor<Self>, _: FloatTensor<Self>, _: Geometry) -> FloatTensor<Self> {
        unreachable!("burn differentiates once: gradients are never computed on a tape")
    }

    fn convolve_weight(_: FloatTensor<Self>, _: FloatTensor<Self>, _: Geometry) -> FloatTensor<Self> {
        unreachable!("burn differentiates once: gradients are never computed on a tape")
    }
}
