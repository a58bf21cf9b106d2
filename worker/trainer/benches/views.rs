//! Measures SimCLR views of an image: views per second on one CPU, to compare with torchvision in
//! `tests/bench/views.py`. Prints one line of JSON for each size.
//!
//!     cargo bench -p pretext-trainer --bench views

use std::hint::black_box;
use std::time::{Duration, Instant};

use pretext_data::augment::SimclrView;
use pretext_shared::draw::{Place, Purpose};
use pretext_shared::stage::Chances;

/// Time to measure each size.
const SPAN: Duration = Duration::from_secs(2);
/// Number of views between two readings of the clock.
const ROUND: u64 = 64;

fn rate(size: usize) -> f64 {
    let view = SimclrView::new(size, 1.0, 0.08, true, Chances::default());
    let image: Vec<u8> = (0..3 * size * size).map(|index| (index * 89 % 251) as u8).collect();
    let mut out = vec![0.0; image.len()];
    let mut draw = |sample| {
        view.draw(&image, Place { seed: 0, purpose: Purpose::Augment, epoch: 1, sample, view: 0 }, &mut out);
        black_box(&out);
    };
    (0..ROUND).for_each(&mut draw);
    let begin = Instant::now();
    let mut views = 0;
    while begin.elapsed() < SPAN {
        (views..views + ROUND).for_each(&mut draw);
        views += ROUND;
    }
    views as f64 / begin.elapsed().as_secs_f64()
}

fn main() {
    for size in [32, 224] {
        println!("{{\"size\":{size},\"views_per_second\":{:.1}}}", rate(size));
    }
}
