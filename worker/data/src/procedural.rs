//! Procedural pictures: houses, trees and boats on the ground under a sky, drawn by the program.
//!
//! Each picture is a function of (seed, part, class, index, size) only. Objects are upright, so that rotations can be
//! recognised. Colours, place, size, light, clutter and noise do not depend on the class, so only the shape shows the
//! class. The shapes of a class vary and share parts with other classes: roofs, sails and firs are triangles; cabins,
//! huts and trunks are rectangles. Shapes are anti-aliased by their distance to a pixel's centre, so every size is
//! drawn at its own resolution. Arithmetic is exact (no sine, no power), so the bytes are the same on every machine.

mod canvas;
mod objects;

use pretext_shared::draw::{Draw, Place, Purpose};

use self::canvas::{Canvas, Color, Point, Shape};
use super::manifest::Part;

/// Identifies a picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    /// Seed of the data set's pictures.
    pub(super) seed: u64,
    /// The part; training and test pictures have different draws.
    pub(super) part: Part,
    /// Index into [`pretext_shared::dataset::PROCEDURAL_CLASSES`].
    pub(super) class: u32,
    /// Index within class and part.
    pub(super) index: u32,
}

/// The purpose of a draw; each has a stream of its own.
#[derive(Clone, Copy)]
enum Operation {
    Land = 0,
    Clutter = 1,
    Pose = 2,
    Object = 3,
    Cover = 4,
    Light = 5,
    Noise = 6,
}

impl Operation {
    fn draws(self, subject: Subject) -> Draw {
        let place = Place {
            seed: subject.seed,
            purpose: Purpose::Picture,
            epoch: match subject.part {
                Part::Train => 0,
                Part::Test => 1,
                Part::Validation => 2,
            },
            sample: u64::from(subject.class) << 32 | u64::from(subject.index),
            view: 0,
        };
        Draw::new(place, self as u64)
    }
}

/// Draws `subject` to bytes `[3, size, size]`.
pub(super) fn draw(subject: Subject, size: usize, out: &mut [u8]) {
    let mut canvas = Canvas::new(size);
    let land = Land::draw(&mut Operation::Land.draws(subject));
    land.paint(&mut canvas);
    clutter(&mut Operation::Clutter.draws(subject), &land, &mut canvas);
    let pose = Pose::draw(&mut Operation::Pose.draws(subject), &land);
    objects::paint(subject.class, &pose, &mut Operation::Object.draws(subject), &mut canvas);
    cover(&mut Operation::Cover.draws(subject), &pose, &mut canvas);
    let light = Light::draw(&mut Operation::Light.draws(subject));
    light.expose(&canvas, &mut Operation::Noise.draws(subject), out);
}

/// Returns any colour, pale or strong, dark or light.
fn any_color(draws: &mut Draw) -> Color {
    let base = draws.range(0.1, 0.9);
    let strength = draws.range(0.1, 0.6);
    [(); 3].map(|()| (base + strength * draws.range(-1.0, 1.0)).clamp(0.0, 1.0))
}

fn mix(a: Color, b: Color, share: f32) -> Color {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share)
}

/// Sky and ground. Each changes from a colour at the horizon to another one at the picture's edge.
struct Land {
    /// Height of the horizon at the left and right edges (0 is the top of the picture).
    horizon: (f32, f32),
    sky: (Color, Color),
    ground: (Color, Color),
}

impl Land {
    fn draw(draws: &mut Draw) -> Self {
        let middle = draws.range(0.35, 0.7);
        let slope = draws.range(-0.06, 0.06);
        // The sky is usually lighter than the ground, but not always: colour alone does not show which side is up.
        let (sky_light, ground_light) = if draws.chance(0.7) { (0.7, 0.35) } else { (0.4, 0.6) };
        let mut tone = |light: f32| mix(any_color(draws), [light; 3], 0.6);
        let (sky, ground) = ((tone(sky_light), tone(sky_light)), (tone(ground_light), tone(ground_light)));
        Self { horizon: (middle - slope, middle + slope), sky, ground }
    }

    fn horizon_at(&self, x: f32) -> f32 {
        self.horizon.0 + (self.horizon.1 - self.horizon.0) * x
    }

    fn paint(&self, canvas: &mut Canvas) {
        let (left, right) = self.horizon;
        canvas.paint_all(|point| mix(self.sky.1, self.sky.0, (point.y / self.horizon_at(point.x)).min(1.0)));
        let ground = Shape::Polygon(vec![
            Point { x: -0.1, y: left },
            Point { x: 1.1, y: right },
            Point { x: 1.1, y: 1.1 },
            Point { x: -0.1, y: 1.1 },
        ]);
        canvas.paint(&ground, |point| {
            let horizon = self.horizon_at(point.x);
            mix(self.ground.0, self.ground.1, ((point.y - horizon) / (1.0 - horizon)).clamp(0.0, 1.0))
        });
    }
}

/// Returns a small shape of any kind that stands at `foot`.
fn thing(draws: &mut Draw, foot: Point, size: f32) -> Shape {
    let (width, height) = (size * draws.range(0.3, 1.0), size * draws.range(0.4, 1.2));
    match draws.below(3) {
        0 => Shape::ellipse(Point { y: foot.y - height / 2.0, ..foot }, width / 2.0, height / 2.0),
        1 => Shape::rectangle(foot.x - width / 2.0, foot.y - height, foot.x + width / 2.0, foot.y),
        _ => Shape::triangle(
            Point { x: foot.x - width / 2.0, y: foot.y },
            Point { x: foot.x + width / 2.0, y: foot.y },
            Point { x: foot.x + width * draws.range(-0.5, 0.5), y: foot.y - height },
        ),
    }
}

/// Draws hills at the horizon, clouds in the sky and things on the ground.
fn clutter(draws: &mut Draw, land: &Land, canvas: &mut Canvas) {
    for _ in 0..draws.below(4) {
        let x = draws.unit();
        let hill = Shape::ellipse(Point { x, y: land.horizon_at(x) }, draws.range(0.1, 0.35), draws.range(0.04, 0.16));
        // Only the part above the horizon is visible: the ground covers the rest.
        let color = mix(any_color(draws), land.ground.0, 0.4);
        canvas.paint_where(&hill, |point| point.y < land.horizon_at(point.x), |_| color);
    }
    for _ in 0..draws.below(4) {
        let middle = Point { x: draws.unit(), y: draws.range(0.0, 0.4) };
        let cloud = Shape::ellipse(middle, draws.range(0.04, 0.2), draws.range(0.02, 0.08));
        let color = mix(any_color(draws), land.sky.0, 0.3);
        canvas.paint(&cloud, |_| color);
    }
    for _ in 0..draws.below(5) {
        let x = draws.unit();
        let foot = Point { x, y: land.horizon_at(x) + draws.range(0.0, 0.3) };
        let size = draws.range(0.06, 0.18);
        let (shape, color) = (thing(draws, foot, size), any_color(draws));
        canvas.paint(&shape, |_| color);
    }
}

/// The place and form of the object.
struct Pose {
    /// The colours at its foot and behind its top, which the object must not have.
    around: [Color; 2],
    foot: Point,
    /// Height of the object as a share of the picture's height.
    height: f32,
    /// Width in relation to the height.
    stretch: f32,
    /// Sideways shift per height: a slight lean.
    lean: f32,
}

impl Pose {
    fn draw(draws: &mut Draw, land: &Land) -> Self {
        let height = draws.range(0.6, 0.88);
        let x = draws.range(0.35, 0.65);
        let lowest = 0.97f32;
        let y = (land.horizon_at(x) + draws.range(0.02, 0.35)).clamp(height + 0.02, lowest);
        let side = if draws.chance(0.5) { 1.0 } else { -1.0 };
        let around = [land.ground.0, land.sky.0];
        Self {
            around,
            foot: Point { x, y },
            height,
            stretch: side * draws.range(0.75, 1.25),
            lean: draws.range(-0.15, 0.15),
        }
    }

    /// Returns a colour for a part of the object: the first of a few draws that differs from the colours around it.
    fn color(&self, draws: &mut Draw) -> Color {
        let distance = |a: Color, b: Color| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>();
        let mut color = any_color(draws);
        for _ in 0..8 {
            if self.around.iter().all(|around| distance(color, *around) > 0.7) {
                break;
            }
            color = any_color(draws);
        }
        color
    }

    /// Converts the object's own coordinates (x to the side, y upwards from its foot, height 1) to the picture's.
    fn place(&self, x: f32, y: f32) -> Point {
        let side = x * self.stretch + y * self.lean;
        Point { x: self.foot.x + side * self.height, y: self.foot.y - y * self.height }
    }
}

/// Draws something in front that hides a part of the object: bushes at its foot, or a post.
fn cover(draws: &mut Draw, pose: &Pose, canvas: &mut Canvas) {
    for _ in 0..draws.below(2) {
        let foot = Point { x: pose.foot.x + draws.range(-0.3, 0.3), y: pose.foot.y + draws.range(0.0, 0.06) };
        let size = draws.range(0.1, 0.2);
        let (shape, color) = (thing(draws, foot, size), any_color(draws));
        canvas.paint(&shape, |_| color);
    }
    if draws.chance(0.2) {
        let x = pose.foot.x + draws.range(-0.3, 0.3);
        let post = Shape::rectangle(x, draws.range(-0.1, 0.5), x + draws.range(0.02, 0.07), 1.1);
        let color = any_color(draws);
        canvas.paint(&post, |_| color);
    }
}

/// The exposure of the whole picture.
struct Light {
    gain: f32,
    /// Spread of the values around their middle.
    contrast: f32,
    tint: Color,
    /// Standard deviation of the noise of each pixel and channel.
    noise: f32,
}

impl Light {
    fn draw(draws: &mut Draw) -> Self {
        Self {
            gain: draws.range(0.75, 1.2),
            contrast: draws.range(0.7, 1.15),
            tint: [(); 3].map(|()| draws.range(0.85, 1.15)),
            noise: draws.range(0.01, 0.05),
        }
    }

    fn expose(&self, canvas: &Canvas, draws: &mut Draw, out: &mut [u8]) {
        for ((plane, tint), target) in
            canvas.planes().zip(self.tint).zip(out.chunks_exact_mut(canvas.size() * canvas.size()))
        {
            for (value, byte) in plane.iter().zip(target) {
                let lit = (0.5 + (value - 0.5) * self.contrast) * self.gain * tint;
                let value = lit + self.noise * nearly_normal(draws);
                *byte = (value * 255.0).round().clamp(0.0, 255.0) as u8;
            }
        }
    }
}

/// Returns the sum of four uniform draws, scaled to mean 0 and variance 1. The arithmetic is exact, and it takes one
/// draw.
fn nearly_normal(draws: &mut Draw) -> f32 {
    let bits = draws.bits();
    let sum: u32 = (0..4).map(|i| u32::from((bits >> (16 * i)) as u16)).sum();
    // Four uniforms on 0..65536 have variance 4/12 of 65536².
    (sum as f32 - 131_070.0) * (1.732_050_8 / 65_536.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(class: u32, index: u32, size: usize) -> Vec<u8> {
        let mut out = vec![0; 3 * size * size];
        draw(Subject { seed: 1, part: Part::Train, class, index }, size, &mut out);
        out
    }

    #[test]
    fn pictures_depend_on_their_subject_alone() {
        let subject = Subject { seed: 1, part: Part::Train, class: 0, index: 0 };
        let drawn = |subject| {
            let mut out = vec![1; 3 * 32 * 32];
            draw(subject, 32, &mut out);
            out
        };
        let first = drawn(subject);
        assert_eq!(drawn(subject), first);
        for other in [
            Subject { seed: 2, ..subject },
            Subject { part: Part::Test, ..subject },
            Subject { class: 1, ..subject },
            Subject { index: 1, ..subject },
        ] {
            assert_ne!(drawn(other), first, "{other:?}");
        }
    }

    #[test]
    fn pictures_are_frozen() {
        // If this hash changes, raise PROCEDURAL_VERSION: published results depend on it.
        let hash =
            pretext_shared::ids::ContentHash::of(&[picture(0, 3, 32), picture(1, 3, 32), picture(2, 3, 32)].concat());
        assert_eq!(hash.short(), "dd266173f926");
    }

    #[test]
    fn one_scene_at_every_size() {
        for class in 0..3 {
            let mean = |size: usize| {
                let pixels = picture(class, 5, size);
                pixels.iter().map(|value| f64::from(*value)).sum::<f64>() / pixels.len() as f64
            };
            let large = mean(224);
            for size in [16, 17, 32, 64] {
                assert!((mean(size) - large).abs() < 3.0, "class {class} at {size}: {} and {large}", mean(size));
            }
        }
    }

    #[test]
    fn pictures_are_upright() {
        // Mean luminance of each row over many pictures: the sky is lighter than the ground.
        let (size, n) = (32, 300);
        let mut rows = vec![0.0; size];
        for index in 0..n {
            for (i, value) in picture(index % 3, index, size).into_iter().enumerate() {
                rows[i / size % size] += f64::from(value) / (3 * size as u32 * n) as f64;
            }
        }
        let (top, bottom): (f64, f64) = (rows[..8].iter().sum(), rows[24..].iter().sum());
        assert!(top / 8.0 > bottom / 8.0 + 10.0, "{rows:?}");
    }

    #[test]
    fn mean_colour_does_not_tell_the_class() {
        let mean = |class, index| {
            let pixels = picture(class, index, 32);
            let planes = pixels.chunks_exact(1024);
            planes.map(|plane| plane.iter().map(|v| f64::from(*v)).sum::<f64>() / 1024.0).collect::<Vec<_>>()
        };
        let n = 300;
        let centres: Vec<Vec<f64>> = (0..3)
            .map(|class| {
                (0..n).fold(vec![0.0; 3], |sum, i| {
                    sum.iter().zip(mean(class, i)).map(|(a, b)| a + b / f64::from(n)).collect()
                })
            })
            .collect();
        let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        let mut correct = 0;
        for (class, index) in (0..3u32).flat_map(|class| (n..2 * n).map(move |index| (class, index))) {
            let color = mean(class, index);
            let nearest =
                (0..3).min_by(|a, b| distance(&centres[*a], &color).total_cmp(&distance(&centres[*b], &color)));
            correct += u32::from(nearest == Some(class as usize));
        }
        let accuracy = f64::from(correct) / f64::from(3 * n);
        assert!(accuracy < 0.45, "nearest mean colour: {accuracy}");
    }

    #[test]
    fn noise_has_mean_zero_and_variance_one() {
        let mut draws = Operation::Noise.draws(Subject { seed: 0, part: Part::Train, class: 0, index: 0 });
        let values: Vec<f64> = (0..20_000).map(|_| f64::from(nearly_normal(&mut draws))).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|value| value * value).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
    }
}
