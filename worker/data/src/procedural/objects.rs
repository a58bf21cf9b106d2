//! The three objects that a picture can show. Each stands on its foot with height 1; `pose` places it.

use pretext_shared::draw::Draw;

use super::Pose;
use super::canvas::{Canvas, Point, Shape};

/// Paints an object of `class` (see [`pretext_shared::dataset::PROCEDURAL_CLASSES`]).
pub(super) fn paint(class: u32, pose: &Pose, draws: &mut Draw, canvas: &mut Canvas) {
    let mut brush = Brush { pose, canvas };
    match class {
        0 => house(draws, &mut brush),
        1 => tree(draws, &mut brush),
        _ => boat(draws, &mut brush),
    }
}

/// Paints in the object's own coordinates.
struct Brush<'a> {
    pose: &'a Pose,
    canvas: &'a mut Canvas,
}

impl Brush<'_> {
    /// Paints a convex polygon in one colour.
    fn polygon(&mut self, draws: &mut Draw, corners: &[(f32, f32)]) {
        let color = self.pose.color(draws);
        let corners: Vec<Point> = corners.iter().map(|(x, y)| self.pose.place(*x, *y)).collect();
        self.canvas.paint(&Shape::Polygon(corners), |_| color);
    }

    fn rectangle(&mut self, draws: &mut Draw, (left, right): (f32, f32), (bottom, top): (f32, f32)) {
        self.polygon(draws, &[(left, bottom), (right, bottom), (right, top), (left, top)]);
    }

    /// Paints ellipses in one colour.
    fn ellipses(&mut self, draws: &mut Draw, ellipses: &[(f32, f32, f32, f32)]) {
        let color = self.pose.color(draws);
        for (x, y, x_radius, y_radius) in ellipses {
            let width = (x_radius * self.pose.stretch).abs() * self.pose.height;
            let shape = Shape::ellipse(self.pose.place(*x, *y), width, y_radius * self.pose.height);
            self.canvas.paint(&shape, |_| color);
        }
    }
}

/// Paints walls under a gable, a hip or a lean-to roof, with a door, windows and sometimes a chimney.
fn house(draws: &mut Draw, brush: &mut Brush) {
    let (half, eaves) = (draws.range(0.3, 0.5), draws.range(0.4, 0.68));
    if draws.chance(0.4) {
        let x = draws.range(-0.6, 0.6) * half;
        brush.rectangle(draws, (x - 0.05, x + 0.05), (eaves, 1.0));
    }
    brush.rectangle(draws, (-half, half), (0.0, eaves));
    let edge = half + draws.range(0.0, 0.1);
    match draws.below(3) {
        0 => {
            let apex = draws.range(-0.4, 0.4) * half;
            brush.polygon(draws, &[(-edge, eaves), (edge, eaves), (apex, 1.0)]);
        }
        1 => {
            let ridge = half * draws.range(0.3, 0.8);
            brush.polygon(draws, &[(-edge, eaves), (edge, eaves), (ridge, 0.92), (-ridge, 0.92)]);
        }
        _ => brush.polygon(draws, &[(-edge, eaves), (edge, eaves), (edge, 0.95)]),
    }
    let door = draws.range(-0.7, 0.4) * half;
    let lintel = eaves * draws.range(0.5, 0.75);
    brush.rectangle(draws, (door, door + 0.14), (0.0, lintel));
    for _ in 0..draws.below(4) {
        let (x, y) = (draws.range(-0.85, 0.5) * half, eaves * draws.range(0.35, 0.65));
        let (width, height) = (draws.range(0.08, 0.15), draws.range(0.1, 0.18));
        brush.rectangle(draws, (x, x + width), (y, y + height));
    }
}

/// Paints a trunk under a round crown, a fir of stacked triangles, or a crown of several parts.
fn tree(draws: &mut Draw, brush: &mut Brush) {
    let (half, crown) = (draws.range(0.04, 0.1), draws.range(0.2, 0.48));
    brush.rectangle(draws, (-half, half), (0.0, crown + 0.15));
    let width = draws.range(0.28, 0.48);
    match draws.below(3) {
        0 => brush.ellipses(draws, &[(0.0, (1.0 + crown) / 2.0, width, (1.0 - crown) / 2.0)]),
        1 => {
            let tiers = 1 + draws.below(3);
            let step = (1.0 - crown) / tiers as f32;
            for tier in 0..tiers {
                let (bottom, share) = (crown + step * tier as f32, 1.0 - tier as f32 / (tiers as f32 + 1.0));
                let top = (bottom + 1.5 * step).min(1.0);
                brush.polygon(draws, &[(-width * share, bottom), (width * share, bottom), (0.0, top)]);
            }
        }
        _ => {
            let parts: Vec<_> = (0..3 + draws.below(3))
                .map(|_| {
                    let radius = draws.range(0.14, 0.24);
                    (draws.range(-0.6, 0.6) * width, draws.range(crown + 0.1, 1.0 - radius), radius, radius)
                })
                .collect();
            brush.ellipses(draws, &parts);
        }
    }
}

/// Paints a hull that is wider at the top, with sails on a mast, or with a cabin and a funnel.
fn boat(draws: &mut Draw, brush: &mut Brush) {
    let (deck, keel, board) = (draws.range(0.4, 0.58), draws.range(0.2, 0.38), draws.range(0.18, 0.32));
    let sails = draws.chance(0.6);
    if sails {
        let mast = draws.range(-0.3, 0.3) * deck;
        brush.rectangle(draws, (mast - 0.025, mast + 0.025), (board, 1.0));
        let boom = board + draws.range(0.04, 0.12);
        let clew = deck * draws.range(0.7, 1.0);
        brush.polygon(draws, &[(mast + 0.03, boom), (mast + 0.03, 0.98), (clew, boom)]);
        if draws.chance(0.6) {
            let (top, tack) = (draws.range(0.65, 0.95), -deck * draws.range(0.6, 1.0));
            brush.polygon(draws, &[(mast - 0.03, boom), (mast - 0.03, top), (tack, boom)]);
        }
    } else {
        let (left, right, top) = (draws.range(-0.8, -0.2) * deck, draws.range(0.2, 0.7) * deck, draws.range(0.5, 0.7));
        let x = left + (right - left) * draws.range(0.2, 0.6);
        brush.rectangle(draws, (x, x + 0.1), (top, 1.0));
        brush.rectangle(draws, (left, right), (board, top));
        for _ in 0..draws.below(3) {
            let x = left + (right - left) * draws.range(0.1, 0.7);
            brush.rectangle(draws, (x, x + 0.1), (top - 0.15, top - 0.05));
        }
    }
    let bow = keel * draws.range(0.6, 1.0);
    brush.polygon(draws, &[(-keel, 0.0), (bow, 0.0), (deck, board), (-deck, board)]);
}
