//! Tests of every operation: against burn's own on channels-first tensors, against finite differences, and against
//! itself with other numbers of threads.

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

/// Returns the output and the gradients of `inputs`, for a fixed gradient of the output.
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
/// gradient, and several passes over a panel.
const CASES: [Case; 16] = [
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
    // Winograd with several passes over the summed channels.
    (10, 160, 14, 14, 96, 3, 1),
    // More weights than pixels, and enough pixels for two blocks: the last layers of ResNet-18.
    (16, 512, 4, 4, 512, 3, 1),
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fixed_scale_and_shift_of_any_shape_equal_plain_arithmetic(
        (n, c, h, w) in (1..6usize, 1..40usize, 1..9usize, 1..9usize),
        relu in any::<bool>(),
        add in any::<bool>(),
    ) {
        let after = if relu { After::Relu } else { After::Nothing };
        let [own, reference] = affine_case([n, c, h, w], after, add);
        assert_close(&own, &reference, 1e-5, &format!("{n} {c} {h} {w} {after:?} {add}"));
    }

    #[test]
    fn pools_of_any_shape_equal_burns(
        shape in (1..5usize, 1..20usize, 3..12usize, 3..12usize),
        (k, stride, pad) in (1..4usize, 1..4usize, 0..2usize).prop_filter("fits", |(k, _, pad)| 2 * pad <= *k),
        steps in prop_oneof![Just(1f32), Just(1e4)],
    ) {
        // Few different values make ties: the first of the largest gets the gradient.
        let shape = <[usize; 4]>::from(shape);
        let [own, reference] = max_pool_case(shape, [k, stride, pad], steps);
        assert_close(&own, &reference, 1e-6, &format!("{shape:?} {k} {stride} {pad} {steps}"));
        let [own, reference] = mean_pool_case(shape);
        assert_close(&own, &reference, 1e-5, &format!("{shape:?}"));
    }

    #[test]
    fn updates_of_any_length_equal_plain_loops(
        length in prop_oneof![1..100usize, 16_000..40_000usize],
        decay in prop_oneof![Just(0f32), Just(1e-2)],
    ) {
        let [mut weight, mut first, mut second, gradient] = [1, 2, 3, 4].map(|sample| numbers(length, sample));
        second.iter_mut().for_each(|value| *value = value.abs());
        let at = |index: usize| [weight[index], gradient[index] + decay * weight[index], first[index], second[index]];
        let (sgd, adam): (Vec<_>, Vec<_>) = (0..length)
            .map(|index| {
                let [w, g, m, v] = at(index).map(f64::from);
                let velocity = 0.9 * m + g;
                let (m, v) = (0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g);
                ([w - 0.1 * velocity, velocity], [w - 0.01 * m / (v.sqrt() / 0.5 + 1e-8), m, v])
            })
            .unzip();
        let close = |own: &[f32], reference: Vec<f64>| {
            own.iter().zip(reference).all(|(own, reference)| (f64::from(*own) - reference).abs() < 1e-5)
        };
        let (mut weight_of_sgd, mut velocity) = (weight.clone(), first.clone());
        let step = SgdStep { lr: 0.1, momentum: 0.9, weight_decay: decay };
        update::sgd(&mut weight_of_sgd, &gradient, &mut velocity, step);
        prop_assert!(close(&weight_of_sgd, sgd.iter().map(|values| values[0]).collect()));
        prop_assert!(close(&velocity, sgd.iter().map(|values| values[1]).collect()));
        let (beta1, beta2) = ([0.9, 0.1], [0.999, 0.001]);
        let step = AdamStep { lr: 0.01, beta1, beta2, correction: 0.5, epsilon: 1e-8, weight_decay: decay };
        update::adam(&mut weight, &gradient, &mut first, &mut second, step);
        prop_assert!(close(&weight, adam.iter().map(|values| values[0]).collect()));
        prop_assert!(close(&first, adam.iter().map(|values| values[1]).collect()));
        prop_assert!(close(&second, adam.iter().map(|values| values[2]).collect()));
    }
}

fn numbers(length: usize, sample: u64) -> Vec<f32> {
    random(&[length], sample).try_into_vec().expect("f32")
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

fn affine_case([n, c, h, w]: [usize; 4], after: After, add: bool) -> [Vec<Vec<f32>>; 2] {
    let run = |own: bool| {
        let (x, skip) = (tracked([n, c, h, w], 1), tracked([n, c, h, w], 2));
        let (scale, shift) = (tracked([c], 3), tracked([c], 4));
        let y = if own {
            let skip = add.then(|| last(skip.clone()));
            first(affine(last(x.clone()), skip, scale.clone(), shift.clone(), after))
        } else {
            let wide = |t: &Tensor<1>| t.clone().reshape([1, c, 1, 1]);
            let y = x.clone() * wide(&scale) + wide(&shift);
            let y = if add { y + skip.clone() } else { y };
            if after == After::Relu { burn::tensor::activation::relu(y) } else { y }
        };
        if add { pass([x, skip], vec![scale, shift], y) } else { pass([x], vec![scale, shift], y) }
    };
    [run(true), run(false)]
}

#[test]
fn a_large_mean_costs_the_variance_no_digits() {
    // One pass over sums of squares in f32 would lose a variance of 1/12 beside a mean of 3000.
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

/// Returns `x` in steps of 1/`steps`.
fn stepped(shape: [usize; 4], steps: f32) -> Tensor<4> {
    let values = numbers(shape.iter().product(), 1).into_iter().map(|value| (value * steps).round() / steps).collect();
    Tensor::from_data(TensorData::new::<f32, _>(values, shape), &Device::flex().autodiff()).require_grad()
}

fn max_pool_case(shape: [usize; 4], [k, stride, pad]: [usize; 3], steps: f32) -> [Vec<Vec<f32>>; 2] {
    let run = |own: bool| {
        let x = stepped(shape, steps);
        let y = if own {
            first(max_pool(last(x.clone()), k, stride, pad))
        } else {
            max_pool2d(x.clone(), MaxPoolOptions::new([k; 2]).with_stride([stride; 2]).with_padding([pad; 2]))
        };
        pass([x], Vec::new(), y)
    };
    [run(true), run(false)]
}

fn mean_pool_case([n, c, h, w]: [usize; 4]) -> [Vec<Vec<f32>>; 2] {
    let run = |own: bool| {
        let x = tracked([n, c, h, w], 1);
        let y =
            if own { mean_pool(last(x.clone())) } else { x.clone().reshape([n, c, h * w]).mean_dim(2).reshape([n, c]) };
        pass([x], Vec::new(), y.reshape([n, c, 1, 1]))
    };
    [run(true), run(false)]
}

#[test]
fn a_nan_is_passed_on() {
    let device = Device::flex();
    let x = Tensor::<4>::from_data(TensorData::new(vec![f32::NAN, 1.0, -1.0, 2.0], [1, 2, 2, 1]), &device);
    let one = Tensor::<1>::ones([1], &device);
    let nans = |t: Tensor<4>| values(t).iter().map(|value| value.is_nan()).collect::<Vec<_>>();
    let zero = Tensor::<1>::zeros([1], &device);
    assert_eq!(nans(affine(x.clone(), None, one.clone(), zero.clone(), After::Relu)), [true, false, false, false]);
    assert_eq!(nans(normalize(x.clone(), None, one, zero, 1e-5, After::Relu).output), [true; 4]);
    assert_eq!(nans(max_pool(x, 2, 1, 0)), [true]);
    // Backward: a gradient finds its NaN, and a gate that has seen a NaN lets the gradient pass.
    let x = Tensor::<4>::from_data(
        TensorData::new(vec![1.0, f32::NAN, -1.0, 2.0], [1, 2, 2, 1]),
        &Device::flex().autodiff(),
    )
    .require_grad();
    let gradients = max_pool(x.clone(), 2, 1, 0).sum().backward();
    assert_eq!(values(x.grad(&gradients).expect("tracked")), [0.0, 1.0, 0.0, 0.0]);
}

/// Compares the directional derivative of a scalar along `gradient` with central differences in f64 of the f32
/// operations: a convolution, a normalisation with a skip connection, a scale and shift, and the mean. Maxima and ReLU
/// have kinks without a derivative; the tests above compare them with burn's.
fn finite_difference((n, cin, h, w, cout, k, stride): Case) -> [f64; 2] {
    let device = Device::flex().autodiff();
    let direction = |shape: &[usize], sample| Tensor::<4>::from_data(random(shape, sample), &device);
    let score = |[x, weight, gamma, beta]: [Tensor<4>; 4]| {
        let y = convolution(last(x), weight, stride, k / 2);
        let each = |t: Tensor<4>| t.reshape([cout]);
        let skip = Tensor::<4>::from_data(random(&y.dims(), 6), &device);
        let (gamma, beta) = (each(gamma).add_scalar(2.0), each(beta));
        let z = normalize(y, Some(skip), gamma.clone(), beta.clone(), 1e-2, After::Nothing).output;
        let z = affine(z.clone(), None, beta, gamma, After::Nothing) + z;
        let weights = Tensor::<2>::from_data(random(&[n, cout], 5), &device);
        (mean_pool(z.clone() * z) * weights).sum()
    };
    let shapes = [[n, cin, h, w], [cout, cin, k, k], [1, 1, 1, cout], [1, 1, 1, cout]];
    let at = [1, 2, 3, 4].map(|sample| tracked(shapes[sample as usize - 1], sample));
    let towards = [11, 12, 13, 14].map(|sample| direction(&shapes[sample as usize - 11], sample));
    let gradients = score(at.clone()).backward();
    let number = |t: Tensor<1>| f64::from(t.into_scalar::<f32>());
    let slopes = at
        .iter()
        .zip(&towards)
        .map(|(x, direction)| number((x.grad(&gradients).expect("tracked") * direction.clone().inner()).sum()));
    let own = slopes.sum();
    let moved = |by: f64| {
        let mut place = at.clone();
        for (x, direction) in place.iter_mut().zip(&towards) {
            *x = x.clone() + direction.clone().mul_scalar(by);
        }
        number(score(place).inner())
    };
    [own, (moved(2e-3) - moved(-2e-3)) / 4e-3]
}

#[test]
fn gradients_equal_finite_differences() {
    // 1×1, strides, odd sizes, one image, Winograd.
    for case in [
        (2, 3, 5, 4, 4, 3, 1),
        (1, 5, 7, 6, 9, 3, 2),
        (3, 4, 5, 5, 6, 1, 1),
        (2, 8, 9, 7, 5, 1, 2),
        (4, 32, 12, 11, 32, 3, 1),
    ] {
        let [own, difference] = finite_difference(case);
        assert!((own - difference).abs() < 1e-2 * difference.abs().max(1.0), "{case:?}: {own}, expected {difference}");
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let with = |threads, case: Case| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a small pool");
        pool.install(|| {
            let (n, cin, h, w, ..) = case;
            let [conv, _] = convolution_case(case);
            let [norm, _] = normalization_case([n, cin, h, w.max(2)], After::Relu, true);
            let [fixed, _] = affine_case([n, cin, h, w], After::Relu, true);
            let [largest, _] = max_pool_case([n, cin, h + 2, w + 2], [3, 2, 1], 1e4);
            let [means, _] = mean_pool_case([n, cin, h, w]);
            let all = [conv, norm, fixed, largest, means].concat().concat();
            all.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        })
    };
    for case in CASES.into_iter().chain([(40, 16, 24, 24, 16, 3, 1)]) {
        let once = with(1, case);
        assert!(once == with(3, case), "{case:?} on three threads");
        assert!(once == with(1, case), "{case:?} again");
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
