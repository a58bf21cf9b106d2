//! Batch normalisation with the operations after it, as an operation of burn.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use super::{contiguous, tensor};
use crate::cpu::norm::{self, After, Moments};
use crate::cpu::profile::{Operation, timed};

/// The statistics that scale and shift the channels. They determine the form of the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Statistics {
    /// The batch's own moments. `scale` and `shift` are γ and β, and the gradient passes through the moments.
    Batch {
        /// Added to the variance.
        epsilon: f64,
    },
    /// Numbers that do not depend on the batch. `scale` and `shift` are the factor and the summand.
    Fixed,
}

/// The form of a normalisation: its statistics and the operation after it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Form {
    statistics: Statistics,
    after: After,
}

/// Tensors are `[…, channel]` and `[channel]`. The results are z, the mean and the biased variance. Mean and variance
/// are those of the batch, or zeros and ones for [`Statistics::Fixed`].
#[backend_extension(Flex, Autodiff)]
trait Normalization: Backend {
    /// z = after(scale · x̂ + shift)
    fn normalized(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// z = after(scale · x̂ + shift + skip)
    fn normalized_add(
        x: FloatTensor<Self>,
        skip: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// The result of a normalisation with the batch's own moments.
pub struct Normalized {
    /// `[batch, height, width, channel]`
    pub output: Tensor<4>,
    /// `[channel]`, without gradient.
    pub mean: Tensor<1>,
    /// Biased, `[channel]`, without gradient.
    pub variance: Tensor<1>,
}

fn run(x: Tensor<4>, skip: Option<Tensor<4>>, scale: Tensor<1>, shift: Tensor<1>, form: Form) -> Normalized {
    let shape = x.dims();
    assert!(!shape.contains(&0), "{shape:?} has nothing to normalise");
    assert_eq!([scale.dims(), shift.dims()], [[shape[3]]; 2], "one scale and one shift for each channel");
    assert!(skip.as_ref().is_none_or(|skip| skip.dims() == shape), "a skip connection has the shape of the input");
    let (x, scale, shift) = (x.into_dispatch(), scale.into_dispatch(), shift.into_dispatch());
    let (z, mean, variance) = match skip {
        None => Dispatch::normalized(x, scale, shift, form),
        Some(skip) => Dispatch::normalized_add(x, skip.into_dispatch(), scale, shift, form),
    };
    Normalized {
        output: Tensor::from_dispatch(z),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// Batch normalisation of `x`, `[batch, height, width, channel]`, with its own moments (Ioffe and Szegedy 2015). Adds
/// `skip` if it is given, then applies `after`. Works on flex devices only.
pub fn normalize(
    x: Tensor<4>,
    skip: Option<Tensor<4>>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    after: After,
) -> Normalized {
    run(x, skip, gamma, beta, Form { statistics: Statistics::Batch { epsilon }, after })
}

/// Returns `after(x · scale + shift (+ skip))`, with one scale and shift for each channel. Works on flex devices only.
pub fn affine(x: Tensor<4>, skip: Option<Tensor<4>>, scale: Tensor<1>, shift: Tensor<1>, after: After) -> Tensor<4> {
    run(x, skip, scale, shift, Form { statistics: Statistics::Fixed, after }).output
}

/// Returns the scale and shift that turn x into scale · x̂ + shift.
fn coefficients(moments: &Moments, scale: &[f32], shift: &[f32], statistics: Statistics) -> (Vec<f32>, Vec<f32>) {
    match statistics {
        Statistics::Fixed => (scale.to_vec(), shift.to_vec()),
        Statistics::Batch { epsilon } => {
            let channels = moments.mean.iter().zip(&moments.variance).zip(scale.iter().zip(shift));
            let pairs = channels.map(|((mean, variance), (gamma, beta))| {
                let scale = f64::from(*gamma) / (f64::from(*variance) + epsilon).sqrt();
                (scale as f32, (f64::from(*beta) - f64::from(*mean) * scale) as f32)
            });
            pairs.unzip()
        }
    }
}

/// Returns z, mean and variance. All operands are contiguous.
fn forward(
    x: &FlexTensor,
    skip: Option<&FlexTensor>,
    scale: &FlexTensor,
    shift: &FlexTensor,
    form: Form,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let (values, skip) = (x.storage::<f32>(), skip.map(|skip| skip.storage::<f32>()));
    let (scale, shift) = (scale.storage::<f32>(), shift.storage::<f32>());
    let channels = scale.len();
    let (z, moments) = timed(Operation::Normalization, || {
        let moments = match form.statistics {
            Statistics::Batch { .. } => norm::moments(values, channels),
            Statistics::Fixed => Moments { mean: vec![0.0; channels], variance: vec![1.0; channels] },
        };
        let (scale, shift) = coefficients(&moments, scale, shift, form.statistics);
        (norm::apply(values, skip, &scale, &shift, form.after), moments)
    });
    let shape: [usize; 4] = x.layout().shape().dims();
    (tensor(z, shape), tensor(moments.mean, [channels]), tensor(moments.variance, [channels]))
}

impl Normalization for Flex {
    fn normalized(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        form: Form,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, scale, shift) = (x.to_contiguous(), scale.to_contiguous(), shift.to_contiguous());
        forward(&x, None, &scale, &shift, form)
    }

    fn normalized_add(
        x: FlexTensor,
        skip: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        form: Form,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, skip) = (x.to_contiguous(), skip.to_contiguous());
        forward(&x, Some(&skip), &scale.to_contiguous(), &shift.to_contiguous(), form)
    }
}

/// The tensors that the backward pass needs; all contiguous.
#[derive(Clone, Debug)]
struct Saved {
    x: FlexTensor,
    z: FlexTensor,
    scale: FlexTensor,
    mean: FlexTensor,
    variance: FlexTensor,
    form: Form,
}

/// Returns the gradients of x, scale and shift, in this order. The gradient of the skip connection goes to `skip`.
fn backward(saved: &Saved, dz: FlexTensor, skip: Option<&mut [f32]>) -> [FlexTensor; 3] {
    let Saved { x, z, scale, mean, variance, form } = saved;
    let (x, z, scale) = (x.storage::<f32>(), z.storage::<f32>(), scale.storage::<f32>());
    let (mean, variance) = (mean.storage::<f32>(), variance.storage::<f32>());
    let channels = scale.len();
    let mut dz = contiguous(dz);
    let [plain, weighted] = norm::reduce(x, z, dz.storage(), mean, form.after);
    let single = |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<f32>>();
    let (by, dscale) = match form.statistics {
        Statistics::Fixed => {
            let zeros = vec![0.0; channels];
            let by = norm::Backward { slope: scale.to_vec(), tilt: zeros.clone(), centre: mean, offset: zeros };
            (by, single(&weighted))
        }
        // dx = γ/σ (g - mean(g) - x̂ mean(g x̂)), with x̂ = (x - mean)/σ.
        Statistics::Batch { epsilon } => {
            let count = (x.len() / channels) as f64;
            let inverse: Vec<f64> = variance.iter().map(|v| 1.0 / (f64::from(*v) + epsilon).sqrt()).collect();
            let slope: Vec<f64> =
                scale.iter().zip(&inverse).map(|(gamma, inverse)| f64::from(*gamma) * inverse).collect();
            let each = |term: &dyn Fn(usize) -> f64| (0..channels).map(|c| term(c) as f32).collect::<Vec<f32>>();
            let by = norm::Backward {
                slope: single(&slope),
                tilt: each(&|c| -slope[c] * inverse[c] * inverse[c] * weighted[c] / count),
                centre: mean,
                offset: each(&|c| -slope[c] * plain[c] / count),
            };
            (by, each(&|c| weighted[c] * inverse[c]))
        }
    };
    norm::spread(x, z, dz.storage_mut(), skip, &by, form.after);
    [dz, tensor(dscale, [channels]), tensor(single(&plain), [channels])]
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 3> for Step {
    type State = Saved;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dz = grads.consume::<Flex>(&ops.node);
        for (node, gradient) in
            ops.parents.into_iter().zip(timed(Operation::NormalizationBackward, || backward(&ops.state, dz, None)))
        {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct AddStep;

impl Backward<Flex, 4> for AddStep {
    type State = Saved;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dz = grads.consume::<Flex>(&ops.node);
        let [node_x, node_skip, node_scale, node_shift] = ops.parents;
        let shape: [usize; 4] = ops.state.x.layout().shape().dims();
        let mut dskip = vec![0f32; shape.iter().product()];
        let gradients = timed(Operation::NormalizationBackward, || backward(&ops.state, dz, Some(&mut dskip)));
        if let Some(node) = node_skip {
            grads.register::<Flex>(node.id, tensor(dskip, shape));
        }
        for (node, gradient) in [node_x, node_scale, node_shift].into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

/// Returns the part of a result that the backward pass needs.
fn save(x: FlexTensor, scale: FlexTensor, form: Form, result: &(FlexTensor, FlexTensor, FlexTensor)) -> Saved {
    let (z, mean, variance) = result;
    Saved { x, z: z.clone(), scale, mean: mean.clone(), variance: variance.clone(), form }
}

impl<C: CheckpointStrategy> Normalization for Autodiff<Flex, C> {
    fn normalized(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), scale.node(), shift.node()];
        let x = x.into_primitive().to_contiguous();
        let (scale, shift) = (scale.into_primitive().to_contiguous(), shift.into_primitive().to_contiguous());
        let result = forward(&x, None, &scale, &shift, form);
        let (mean, variance) = (Self::from_inner(result.1.clone()), Self::from_inner(result.2.clone()));
        let z = match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(save(x, scale, form, &result), result.0),
            OpsKind::UnTracked(prep) => prep.finish(result.0),
        };
        (z, mean, variance)
    }

    fn normalized_add(
        x: FloatTensor<Self>,
        skip: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), skip.node(), scale.node(), shift.node()];
        let (x, skip) = (x.into_primitive().to_contiguous(), skip.into_primitive().to_contiguous());
        let (scale, shift) = (scale.into_primitive().to_contiguous(), shift.into_primitive().to_contiguous());
        let result = forward(&x, Some(&skip), &scale, &shift, form);
        let (mean, variance) = (Self::from_inner(result.1.clone()), Self::from_inner(result.2.clone()));
        let z = match AddStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(save(x, scale, form, &result), result.0),
            OpsKind::UnTracked(prep) => prep.finish(result.0),
        };
        (z, mean, variance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_written_over_the_one_that_came_in() {
        let ones = |shape| tensor(vec![1.0; 4 * 16], shape);
        let each = || tensor(vec![1.0; 4], [4]);
        let form = Form { statistics: Statistics::Batch { epsilon: 1e-5 }, after: After::Relu };
        let x = ones([1, 4, 4, 4]);
        let result = forward(&x, None, &each(), &each(), form);
        let saved = save(x, each(), form, &result);
        let dz = ones([1, 4, 4, 4]);
        let place = dz.storage::<f32>().as_ptr();
        let [dx, ..] = backward(&saved, dz, None);
        assert_eq!(dx.storage::<f32>().as_ptr(), place);
    }
}
