//! Tests of the optimizers against PyTorch's numbers.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::store::ModuleRecord;
use burn::tensor::{Device, Tensor};
use serde::Deserialize;

use super::*;

#[derive(Module, Debug)]
struct Toy {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

/// A run of `tests/golden/optim.py`: the parameters after six steps of PyTorch's optimizer.
#[derive(Deserialize)]
struct Golden {
    optimizer: OptimizerSpec,
    decay: DecayOn,
    /// Factor of the learning rate.
    scale: f64,
    start: [[f32; 2]; 2],
    values: Vec<f64>,
}

#[derive(Deserialize)]
struct Goldens {
    optimizers: Vec<Golden>,
}

fn goldens() -> Vec<Golden> {
    let goldens: Goldens =
        serde_json::from_str(include_str!("../../../../tests/golden/optim.json")).expect("the script wrote it");
    goldens.optimizers
}

const STEPS: usize = 6;

fn toy(weight: [[f32; 2]; 2]) -> Toy {
    let device = Device::flex().autodiff();
    Toy {
        weight: Param::from_tensor(Tensor::from_floats(weight, &device)),
        bias: Param::from_tensor(Tensor::from_floats([0.75, -0.5], &device)),
    }
}

/// Returns the script's gradients: the weight's is zero at step 3.
fn gradients(toy: &Toy, step: usize) -> GradientsParams {
    let g = |i: usize| if step == 3 && i < 4 { 0.0 } else { (((step * 7 + i * 3) as f64) * 0.61).sin() as f32 };
    let mut grads = GradientsParams::new();
    let device = Device::flex();
    grads.register(toy.weight.id, Tensor::<2>::from_floats([[g(0), g(1)], [g(2), g(3)]], &device));
    grads.register(toy.bias.id, Tensor::<1>::from_floats([g(4), g(5)], &device));
    grads
}

fn values(toy: &Toy) -> Vec<f32> {
    let mut all: Vec<f32> = toy.weight.val().try_into_vec_as().expect("f32");
    all.extend(toy.bias.val().try_into_vec_as::<f32>().expect("f32"));
    all
}

fn run(golden: &Golden, optimizer: &mut ModuleOptimizer, mut toy: Toy, steps: std::ops::Range<usize>) -> Toy {
    for step in steps {
        let grads = gradients(&toy, step);
        toy = optimizer.step(golden.scale * 2.0 / (1 + step) as f64, toy, grads);
    }
    toy
}

#[test]
fn steps_are_pytorchs() {
    let goldens = goldens();
    assert!(goldens.len() >= 12);
    for golden in &goldens {
        let mut optimizer = optimizer(&golden.optimizer, golden.decay);
        let toy = run(golden, &mut optimizer, toy(golden.start), 0..STEPS);
        for (own, expected) in values(&toy).iter().zip(&golden.values) {
            let difference = (f64::from(*own) - expected).abs();
            assert!(difference < 2e-6 * (1.0 + expected.abs()), "{:?}: {own}, expected {expected}", golden.optimizer);
        }
    }
}

#[test]
fn lars_by_hand() {
    // From the reference notes: w = (3, 4), g = (.6, .8), decay .01, coefficient .001, momentum .9, rate 2.
    let adaptation = Adaptation::Trust { coefficient: 1e-3, weight_decay: 0.01 };
    let lars = Lars { momentum: 0.9, adaptation };
    let device = Device::flex();
    let (mut weight, mut state) = (Tensor::<1>::from_floats([3.0, 4.0], &device), None);
    for expected in [[2.994, 3.992], [2.982612, 3.976816]] {
        (weight, state) = lars.step(2.0, weight, Tensor::from_floats([0.6, 0.8], &device), state);
        let own: Vec<f32> = weight.clone().try_into_vec_as().expect("f32");
        assert!(own.iter().zip(expected).all(|(own, expected)| (own - expected).abs() < 1e-6), "{own:?}");
    }
}

#[test]
fn restored_state_goes_on_bit_for_bit() {
    for golden in &goldens() {
        let optimizer = || optimizer(&golden.optimizer, golden.decay);
        let whole = run(golden, &mut optimizer(), toy(golden.start), 0..STEPS);
        let mut first = optimizer();
        let half = run(golden, &mut first, toy(golden.start), 0..2);
        let model = half.valid().into_record().into_bytes().expect("a record");
        let state = save(&first).expect("state");
        let parted = toy(golden.start).load_record(ModuleRecord::from_bytes(model).expect("a record"));
        let mut second = restore(&golden.optimizer, golden.decay, state).expect("its own state");
        let parted = run(golden, &mut second, parted, 2..STEPS);
        assert_eq!(values(&parted), values(&whole), "{:?}", golden.optimizer);
    }
}
