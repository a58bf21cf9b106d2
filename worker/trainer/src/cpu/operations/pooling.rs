//! Pooling as operations of burn.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use super::tensor;
use crate::cpu::geometry::Geometry;
use crate::cpu::pool;
use crate::cpu::profile::{Operation, timed};

#[backend_extension(Flex, Autodiff)]
trait Pooling: Backend {
    fn largest(x: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;
    fn average(x: FloatTensor<Self>, shape: [usize; 4]) -> FloatTensor<Self>;
}

/// The largest value of each `k`×`k` window of `x`, `[batch, height, width, channel]`.
pub fn max_pool(x: Tensor<4>, k: usize, stride: usize, pad: usize) -> Tensor<4> {
    let [n, h, w, channels] = x.dims();
    assert!(n > 0 && 2 * pad <= k && h + 2 * pad >= k && w + 2 * pad >= k, "a {k}x{k} window does not fit {h}x{w}");
    let geometry = Geometry { n, cin: channels, h, w, cout: channels, k, stride, pad };
    Tensor::from_dispatch(Dispatch::largest(x.into_dispatch(), geometry))
}

/// The mean of each channel of `x`, `[batch, height, width, channel]`: `[batch, channel]`.
pub fn mean_pool(x: Tensor<4>) -> Tensor<2> {
    let shape = x.dims();
    Tensor::from_dispatch(Dispatch::average(x.into_dispatch(), shape))
}

impl Pooling for Flex {
    fn largest(x: FlexTensor, g: Geometry) -> FlexTensor {
        let y = timed(Operation::Pooling, || pool::max(&g, x.to_contiguous().storage()));
        tensor(y, [g.n, g.oh(), g.ow(), g.cout])
    }

    fn average(x: FlexTensor, [n, _, _, c]: [usize; 4]) -> FlexTensor {
        tensor(timed(Operation::Pooling, || pool::mean(x.to_contiguous().storage(), n, c)), [n, c])
    }
}

#[derive(Debug)]
struct LargestStep;

impl Backward<Flex, 1> for LargestStep {
    type State = (FlexTensor, FlexTensor, Geometry);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let dy = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x, y, g) = ops.state;
        if let Some(node) = node {
            let dx = timed(Operation::Pooling, || pool::max_backward(&g, x.storage(), y.storage(), dy.storage()));
            grads.register::<Flex>(node.id, tensor(dx, [g.n, g.h, g.w, g.cin]));
        }
    }
}

#[derive(Debug)]
struct AverageStep;

impl Backward<Flex, 1> for AverageStep {
    type State = [usize; 4];

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let dy = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [n, h, w, c] = ops.state;
        if let Some(node) = node {
            let dx = timed(Operation::Pooling, || pool::mean_backward(dy.storage(), n, c, h * w));
            grads.register::<Flex>(node.id, tensor(dx, ops.state));
        }
    }
}

impl<C: CheckpointStrategy> Pooling for Autodiff<Flex, C> {
    fn largest(x: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        match LargestStep.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let x = x.into_primitive().to_contiguous();
                let y = Flex::largest(x.clone(), geometry);
                prep.finish((x, y.clone(), geometry), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::largest(x.into_primitive(), geometry)),
        }
    }

    fn average(x: FloatTensor<Self>, shape: [usize; 4]) -> FloatTensor<Self> {
        match AverageStep.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(shape, Flex::average(x.into_primitive(), shape)),
            OpsKind::UnTracked(prep) => prep.finish(Flex::average(x.into_primitive(), shape)),
        }
    }
}
