//! Measures the convolution layers of the networks on one thread: GFLOP/s of the direct sum, forward, gradient of the
//! input and gradient of the weight. Prints one line of JSON for each layer; `tests/bench/layers.py` puts them beside
//! PyTorch's.
//!
//!     cargo bench -p pretext-trainer --bench layers

use std::time::{Duration, Instant};

use burn::tensor::{Device, Distribution, Tensor};
use pretext_trainer::cpu::convolution;
use pretext_trainer::cpu::profile::{self, Operation};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Batch, channels, height and width, output channels, kernel, stride.
const LAYERS: [[usize; 6]; 12] = [
    [64, 3, 32, 16, 3, 1],
    [64, 16, 32, 16, 3, 1],
    [64, 16, 32, 32, 3, 2],
    [64, 32, 16, 32, 3, 1],
    [64, 64, 8, 64, 3, 1],
    [16, 64, 32, 64, 3, 1],
    [16, 128, 16, 128, 3, 1],
    [16, 256, 8, 256, 3, 1],
    [16, 512, 4, 512, 3, 1],
    [16, 64, 32, 128, 1, 2],
    [4, 3, 224, 64, 7, 2],
    [4, 64, 56, 64, 3, 1],
];
/// Time to measure each layer.
const SPAN: Duration = Duration::from_secs(1);

fn measure([n, cin, size, cout, k, stride]: [usize; 6]) -> String {
    let device = Device::flex().autodiff();
    let random =
        |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 1.0), &device).require_grad();
    let (x, weight) = (random([n, size, size, cin]), random([cout, cin, k, k]));
    let run = || convolution(x.clone(), weight.clone(), stride, k / 2).sum().backward();
    (0..3).for_each(|_| drop(run()));
    profile::take();
    let (begin, mut runs) = (Instant::now(), 0u32);
    while begin.elapsed() < SPAN {
        run();
        runs += 1;
    }
    let out = (size + 2 * (k / 2) - k) / stride + 1;
    let gflop = 2e-9 * (n * out * out * cin * cout * k * k) as f64;
    let rates = profile::take().map(|(operation, spent)| {
        let name = match operation {
            Operation::Convolution => "forward",
            Operation::ConvolutionInput => "input",
            Operation::ConvolutionWeight => "weight",
            _ => return String::new(),
        };
        format!(",\"{name}\":{:.1}", gflop * f64::from(runs) / spent.as_secs_f64())
    });
    format!("{{\"layer\":[{n},{cin},{size},{cout},{k},{stride}]{}}}", rates.concat())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    for layer in LAYERS {
        println!("{}", pool.install(|| measure(layer)));
    }
    Ok(())
}
