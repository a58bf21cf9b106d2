//! Every operation against burn's own on channels-first tensors, against finite differences, and against itself on
//! other numbers of threads.

use burn::tensor::module::{batch_norm_train, conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};
use pretext_shared::draw::{Draw, Place, Purpose};
use proptest::prelude::*;

use super::*;

fn random(shape: &[usize], sample: u64) -> TensorData {
    let mut draw = Draw::new(Place { seed: 1, purpose: Purpose::Init, epoch: 0, sample, view: 0 }, 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw.range(-1.0, 1.0)).collect();
    TensorData::new(values, shape.to_vec())
}

fn tracked<const D: usize>(shape: [usize; D], sample: u64) -> Tensor<D> {
    Tensor::from_data(random(&shape, sample), &Device::flex().autodiff()).require_grad()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().expect("f32")
}

fn last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

fn first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// The output and the gradients of `inputs`, for a fixed gradient of the output.
fn pass<const N: usize>(inputs: [Tensor<4>; N], weights: Vec<Tensor<1>>, y: Tensor<4>) -> Vec<Vec<f32>> {
    let dy = Tensor::<4>::from_data(random(&y.dims(), 77), &Device::flex().autodiff());
    let gradients = (y.clone() * dy).sum().backward();
    let mut all = vec![values(y.inner())];
    all.extend(inputs.into_iter().map(|x| values(x.grad(&gradients).expect("tracked"))));
    all.extend(weights.into_iter().map(|x| values(x.grad(&gradients).expect("tracked"))));
    all
}

fn assert_close(own: &[Vec<f32>], reference: &[Vec<f32>], tolerance: f32, what: &str) {
    assert_eq!(own.len(), reference.len());
    for (i, (own, reference)) in own.iter().zip(reference).enumerate() {
        assert_eq!(own.len(), reference.len());
        let scale = reference.iter().fold(1e-3f32, |max, value| max.max(value.abs()));
        let worst = own.iter().zip(reference).fold(0f32, |max, (a, b)| max.max((a - b).abs()));
        assert!(worst <= tolerance * scale, "{what}: {worst} of {scale} in result {i}");
    }
}

/// (batch, in, height, width, out, k, stride)
type Case = (usize, usize, usize, usize, usize, usize, usize);

fn convolution_case((n, cin, h, w, cout, k, stride): Case) -> [Vec<Vec<f32>>; 2] {
    let run = |own: bool| {
        let (x, weight) = (tracked([n, cin, h, w], 1), tracked([cout, cin, k, k], 2));
        let y = if own {
            first(convolution(last(x.clone()), weight.clone(), stride, k / 2))
        } else {
            conv2d(x.clone(), weight.clone(), None, ConvOptions::new([stride; 2], [k / 2; 2], [1; 2], 1))
        };
        pass([x, weight], Vec::new(), y)
    };
    [run(true), run(false)]
}

/// Shapes that reach every path: all tile sizes, one to three vectors, narrow panels, both divisions of the weight's
/// gradient, several passes over a panel.
const CASES: [Case; 14] = [
    (4, 3, 32, 32, 16, 3, 1),
    (3, 16, 9, 7, 8, 3, 2),
    (1, 5, 7, 6, 4, 3, 1),
    (2, 8, 16, 16, 48, 1, 1),
    (2, 8, 15, 15, 40, 1, 2),
    (2, 3, 33, 33, 8, 7, 2),
    (1, 1, 1, 1, 1, 3, 1),
    (9, 40, 4, 4, 24, 3, 1),
    (70, 6, 5, 5, 3, 3, 2),
    (17, 96, 4, 4, 130, 3, 2),
    (3, 200, 3, 5, 70, 3, 1),
    (1, 4, 2, 2, 4, 1, 2),
    // Winograd, odd sizes and several images to a block.
    (3, 64, 17, 15, 48, 3, 1),
    (9, 96, 8, 8, 32, 3, 1),
];

#[test]
fn convolution_equals_burns_and_its_gradients() {
    for case in CASES {
        let [own, reference] = convolution_case(case);
        assert_close(&own, &reference, 2e-5, &format!("{case:?}"));
    }
}

fn case() -> impl Strategy<Value = Case> {
    (1..10usize, 1..40usize, 1..12usize, 1..12usize, 1..50usize, prop_oneof![Just(1usize), Just(3), Just(5)], 1..4usize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn convolution_of_any_shape_equals_burns(case in case()) {
        let [own, reference] = convolution_case(case);
        assert_close(&own, &reference, 5e-5, &format!("{case:?}"));
    }

    #[test]
    fn normalization_of_any_shape_equals_burns(
        (n, c, h, w) in (1..6usize, 1..40usize, 1..9usize, 2..9usize),
        relu in any::<bool>(),
        add in any::<bool>(),
    ) {
        let after = if relu { After::Relu } else { After::Nothing };
        let [own, reference] = normalization_case([n, c, h, w], after, add);
        assert_close(&own, &reference, 2e-4, &format!("{n} {c} {h} {w} {after:?} {add}"));
    }
}

fn normalization_case([n, c, h, w]: [usize; 4], after: After, add: bool) -> [Vec<Vec<f32>>; 2] {
    let run = |own: bool| {
        let (x, skip) = (tracked([n, c, h, w], 1), tracked([n, c, h, w], 2));
        let (gamma, beta) = (tracked([c], 3), tracked([c], 4));
        let shifted = x.clone().mul_scalar(2.0).add_scalar(3.0);
        let (y, mean, variance) = if own {
            let skip = add.then(|| last(skip.clone()));
            let result = normalize(last(shifted), skip, gamma.clone(), beta.clone(), 1e-5, after);
            (first(result.output), result.mean, result.variance)
        } else {
            let result = batch_norm_train(shifted, gamma.clone(), beta.clone(), 1e-5);
            let y = if add { result.output + skip.clone() } else { result.output };
            let y = if after == After::Relu { burn::tensor::activation::relu(y) } else { y };
            (y, result.mean, result.variance)
        };
        let inputs = if add { vec![x, skip] } else { vec![x] };
        let mut all = match <[Tensor<4>; 2]>::try_from(inputs) {
            Ok(inputs) => pass(inputs, vec![gamma, beta], y),
            Err(inputs) => pass(<[Tensor<4>; 1]>::try_from(inputs).expect("one"), vec![gamma, beta], y),
        };
        all.extend([values(mean.inner()), values(variance.inner())]);
        all
    };
    [run(true), run(false)]
}

#[test]
fn fixed_scale_and_shift_equal_plain_arithmetic() {
    for (after, add) in [(After::Relu, true), (After::Relu, false), (After::Nothing, false)] {
        let run = |own: bool| {
            let (x, skip) = (tracked([3, 5, 4, 6], 1), tracked([3, 5, 4, 6], 2));
            let (scale, shift) = (tracked([5], 3), tracked([5], 4));
            let y = if own {
                let skip = add.then(|| last(skip.clone()));
                first(affine(last(x.clone()), skip, scale.clone(), shift.clone(), after))
            } else {
                let wide = |t: &Tensor<1>| t.clone().reshape([1, 5, 1, 1]);
                let y = x.clone() * wide(&scale) + wide(&shift);
                let y = if add { y + skip } else { y };
                if after == After::Relu { burn::tensor::activation::relu(y) } else { y }
            };
            pass([x], vec![scale, shift], y)
        };
        assert_close(&run(true), &run(false), 1e-5, &format!("{after:?} {add}"));
    }
}

#[test]
fn a_large_mean_costs_the_variance_no_digits() {
    // One pass over sums of squares in f32 would leave nothing of a variance of 1/12 beside a mean of 3000.
    let mut draw = Draw::new(Place { seed: 2, purpose: Purpose::Init, epoch: 0, sample: 0, view: 0 }, 0);
    let x: Vec<f32> = (0..3 * 40_000).map(|_| 3000.0 + draw.range(-0.5, 0.5)).collect();
    let moments = norm::moments(&x, 3);
    for c in 0..3 {
        let channel: Vec<f64> = x.iter().skip(c).step_by(3).map(|v| f64::from(*v)).collect();
        let mean = channel.iter().sum::<f64>() / channel.len() as f64;
        let variance = channel.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / channel.len() as f64;
        assert!((f64::from(moments.mean[c]) - mean).abs() < 3e-4);
        assert!(
            (f64::from(moments.variance[c]) / variance - 1.0).abs() < 1e-4,
            "{} of {variance}",
            moments.variance[c]
        );
    }
}

#[test]
fn pools_equal_burns() {
    for (shape, k, stride, pad) in [([2, 5, 9, 8], 3, 2, 1), ([1, 16, 7, 7], 2, 2, 0), ([3, 3, 4, 4], 3, 1, 1)] {
        let run = |own: bool| {
            let x = tracked(shape, 1);
            let y = if own {
                first(max_pool(last(x.clone()), k, stride, pad))
            } else {
                max_pool2d(x.clone(), MaxPoolOptions::new([k; 2]).with_stride([stride; 2]).with_padding([pad; 2]))
            };
            pass([x], Vec::new(), y)
        };
        assert_close(&run(true), &run(false), 1e-6, &format!("{shape:?}"));
        let means = |own: bool| {
            let x = tracked(shape, 1);
            let [n, c, h, w] = shape;
            let y = if own {
                mean_pool(last(x.clone()))
            } else {
                x.clone().reshape([n, c, h * w]).mean_dim(2).reshape([n, c])
            };
            pass([x], Vec::new(), y.reshape([n, c, 1, 1]))
        };
        assert_close(&means(true), &means(false), 1e-5, &format!("{shape:?}"));
    }
}

/// The directional derivative of a scalar by `gradient`, against central differences in f64 of the f32 operation.
#[test]
fn gradients_equal_finite_differences() {
    let (shape, weight) = ([2, 3, 5, 4], [4, 3, 3, 3]);
    let device = Device::flex().autodiff();
    let direction = |shape: &[usize], sample| Tensor::<4>::from_data(random(shape, sample), &device);
    let (dx, dw) = (direction(&shape, 11), direction(&weight, 12));
    let score = |x: Tensor<4>, w: Tensor<4>| {
        let gamma = Tensor::<1>::from_data(random(&[4], 3), &device).add_scalar(2.0);
        let beta = Tensor::<1>::from_data(random(&[4], 4), &device);
        let y = convolution(last(x), w, 1, 1);
        let z = normalize(y, None, gamma, beta, 1e-5, After::Nothing).output;
        let weights = Tensor::<4>::from_data(random(&z.dims(), 5), &device);
        (z.clone() * z * weights).mean()
    };
    let (x, w) = (tracked(shape, 1), tracked(weight, 2));
    let gradients = score(x.clone(), w.clone()).backward();
    let number = |t: Tensor<1>| f64::from(t.into_scalar::<f32>());
    let slope = |gradient: Tensor<4>, direction: &Tensor<4>| number((gradient * direction.clone().inner()).sum());
    let own = slope(x.grad(&gradients).expect("tracked"), &dx) + slope(w.grad(&gradients).expect("tracked"), &dw);
    let moved =
        |by: f64| number(score(x.clone() + dx.clone().mul_scalar(by), w.clone() + dw.clone().mul_scalar(by)).inner());
    let difference = (moved(1e-2) - moved(-1e-2)) / 2e-2;
    assert!((own - difference).abs() < 2e-3 * difference.abs().max(0.1), "{own} and not {difference}");
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let with = |threads, case: Case| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a small pool");
        pool.install(|| {
            let (n, cin, h, w, ..) = case;
            let [conv, _] = convolution_case(case);
            let [norm, _] = normalization_case([n, cin, h, w.max(2)], After::Relu, true);
            [conv, norm].concat().concat().into_iter().map(f32::to_bits).collect::<Vec<_>>()
        })
    };
    for case in CASES.into_iter().chain([(40, 16, 24, 24, 16, 3, 1)]) {
        assert_eq!(with(1, case), with(3, case), "{case:?}");
    }
}

#[test]
fn the_first_layer_needs_no_gradient_of_its_input() {
    let device = Device::flex().autodiff();
    let x = Tensor::<4>::from_data(random(&[2, 8, 8, 3], 1), &device);
    let w = tracked([4, 3, 3, 3], 2);
    let gradients = convolution(x.clone(), w.clone(), 1, 1).sum().backward();
    assert!(x.grad(&gradients).is_none() && w.grad(&gradients).is_some());
}
