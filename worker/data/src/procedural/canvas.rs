//! A canvas for shapes, anti-aliased by distance.

use std::ops::Range;

/// Red, green and blue in [0, 1].
pub(super) type Color = [f32; 3];

/// A point of the picture: (0, 0) is the top left corner, (1, 1) the bottom right one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

/// A shape to paint.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// An ellipse along the axes.
    Ellipse {
        /// Its middle.
        middle: Point,
        /// Half its width and height.
        radius: Point,
    },
    /// A convex polygon, corners in either direction.
    Polygon(Vec<Point>),
}

impl Shape {
    /// Returns the ellipse around `middle`.
    pub(super) fn ellipse(middle: Point, x_radius: f32, y_radius: f32) -> Self {
        Shape::Ellipse { middle, radius: Point { x: x_radius, y: y_radius } }
    }

    /// Returns the rectangle with the given edges.
    pub(super) fn rectangle(left: f32, top: f32, right: f32, bottom: f32) -> Self {
        let corner = |x, y| Point { x, y };
        Shape::Polygon(vec![corner(left, top), corner(right, top), corner(right, bottom), corner(left, bottom)])
    }

    /// Returns the triangle with the given corners.
    pub(super) fn triangle(a: Point, b: Point, c: Point) -> Self {
        Shape::Polygon(vec![a, b, c])
    }

    /// Returns left, top, right and bottom of the smallest box around the shape.
    fn bounds(&self) -> [f32; 4] {
        match self {
            Shape::Ellipse { middle, radius } => {
                [middle.x - radius.x, middle.y - radius.y, middle.x + radius.x, middle.y + radius.y]
            }
            Shape::Polygon(corners) => corners.iter().fold([f32::MAX, f32::MAX, f32::MIN, f32::MIN], |b, p| {
                [b[0].min(p.x), b[1].min(p.y), b[2].max(p.x), b[3].max(p.y)]
            }),
        }
    }

    /// Returns a function that gives the signed distance of a point to the edge, negative inside. It is exact beside
    /// the edges of a polygon. Around corners and ellipses it is close enough for a smooth edge of one pixel.
    fn distance(&self) -> impl Fn(Point) -> f32 + '_ {
        let edges = match self {
            Shape::Ellipse { .. } => Vec::new(),
            Shape::Polygon(corners) => half_planes(corners),
        };
        move |point| match self {
            Shape::Ellipse { middle, radius } => {
                let (x, y) = ((point.x - middle.x) / radius.x, (point.y - middle.y) / radius.y);
                // Value over length of the gradient: first-order distance (Taubin 1994).
                let (value, slope) = (x * x + y * y - 1.0, 2.0 * hypotenuse(x / radius.x, y / radius.y));
                if slope > 0.0 { value / slope } else { f32::MIN }
            }
            Shape::Polygon(_) => {
                edges.iter().map(|[x, y, offset]| x * point.x + y * point.y - offset).fold(f32::MIN, f32::max)
            }
        }
    }
}

/// Returns the length of the vector (x, y). The square root is exact on every machine; `f32::hypot` is not.
fn hypotenuse(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// Returns outward normals and offsets of a convex polygon's edges.
fn half_planes(corners: &[Point]) -> Vec<[f32; 3]> {
    let next = |i: usize| corners[(i + 1) % corners.len()];
    let area: f32 = corners.iter().enumerate().map(|(i, a)| a.x * next(i).y - next(i).x * a.y).sum();
    let side = if area < 0.0 { -1.0 } else { 1.0 };
    let edge = |(i, a): (usize, &Point)| {
        let (x, y) = (next(i).x - a.x, next(i).y - a.y);
        let length = side * hypotenuse(x, y);
        let (x, y) = (y / length, -x / length);
        (length != 0.0).then_some([x, y, x * a.x + y * a.y])
    };
    corners.iter().enumerate().filter_map(edge).collect()
}

/// A square picture in progress: three planes of `f32`.
pub(super) struct Canvas {
    size: usize,
    /// `[3, size, size]`.
    values: Vec<f32>,
}

impl Canvas {
    /// Returns a black canvas.
    pub(super) fn new(size: usize) -> Self {
        Self { size, values: vec![0.0; 3 * size * size] }
    }

    /// Returns height and width in pixels.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Returns the red, green and blue planes.
    pub(super) fn planes(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.size * self.size)
    }

    /// Gives every pixel the colour of its place.
    pub(super) fn paint_all(&mut self, color: impl Fn(Point) -> Color) {
        let all = 0..self.size;
        self.blend(all.clone(), all, |_| 1.0, color);
    }

    /// Paints `shape`.
    pub(super) fn paint(&mut self, shape: &Shape, color: impl Fn(Point) -> Color) {
        self.paint_where(shape, |_| true, color);
    }

    /// Paints the part of `shape` whose pixels have their centre in `region`.
    pub(super) fn paint_where(
        &mut self,
        shape: &Shape,
        region: impl Fn(Point) -> bool,
        color: impl Fn(Point) -> Color,
    ) {
        let size = self.size as f32;
        let [left, top, right, bottom] = shape.bounds();
        // One pixel more on each side for the soft edge.
        let pixels = |low: f32, high: f32| {
            let pixel = |value: f32| (value * size).clamp(0.0, size) as usize;
            pixel(low - 1.0 / size)..pixel(high + 2.0 / size)
        };
        let distance = shape.distance();
        let coverage = |point| if region(point) { (0.5 - distance(point) * size).clamp(0.0, 1.0) } else { 0.0 };
        self.blend(pixels(top, bottom), pixels(left, right), coverage, color);
    }

    fn blend(
        &mut self,
        rows: Range<usize>,
        columns: Range<usize>,
        coverage: impl Fn(Point) -> f32,
        color: impl Fn(Point) -> Color,
    ) {
        let scale = 1.0 / self.size as f32;
        for row in rows {
            for column in columns.clone() {
                let point = Point { x: (column as f32 + 0.5) * scale, y: (row as f32 + 0.5) * scale };
                let share = coverage(point);
                if share > 0.0 {
                    for (channel, color) in color(point).into_iter().enumerate() {
                        let value = &mut self.values[(channel * self.size + row) * self.size + column];
                        *value += (color - *value) * share;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(shape: &Shape, size: usize) -> f32 {
        let mut canvas = Canvas::new(size);
        canvas.paint(shape, |_| [1.0, 0.0, 0.0]);
        let area = canvas.values[..size * size].iter().sum::<f32>() / (size * size) as f32;
        assert!(canvas.values[size * size..].iter().all(|value| *value == 0.0));
        area
    }

    #[test]
    fn shapes_cover_their_area_at_every_size() {
        let middle = Point { x: 0.45, y: 0.55 };
        let corner = |x, y| Point { x, y };
        let (a, b, c) = (corner(0.13, 0.81), corner(0.87, 0.77), corner(0.4, 0.09));
        for size in [16, 40, 224] {
            let near = |shape: &Shape, want: f32| {
                let got = area(shape, size);
                assert!((got - want).abs() < 0.006, "{shape:?} at {size}: {got}, not {want}");
            };
            near(&Shape::rectangle(0.13, 0.21, 0.77, 0.52), 0.64 * 0.31);
            near(&Shape::ellipse(middle, 0.3, 0.15), std::f32::consts::PI * 0.3 * 0.15);
            // Corners in both directions.
            near(&Shape::triangle(a, b, c), 0.261_2);
            near(&Shape::triangle(c, b, a), 0.261_2);
        }
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        assert!((area(&Shape::rectangle(-5.0, -5.0, 0.5, 5.0), 32) - 0.5).abs() < 1e-6);
        assert_eq!(area(&Shape::rectangle(1.5, 0.0, 2.0, 1.0), 32), 0.0);
    }
}
