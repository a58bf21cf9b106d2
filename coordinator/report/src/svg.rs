//! A small writer of line charts as SVG: axes with round ticks, a grid, a legend and a marked point.
//!
//! Colours come from `chart.css` (Okabe and Ito's palette, which colour-blind readers tell apart; line
//! patterns differ too). A chart draws what it can: values that are not finite are left out, and a
//! chart without values says "no data".

use std::fmt::Write;

use pretext_shared::split::Fraction;
use pretext_shared::text;

use super::scale::{Unit, extent, round_step, tick_label, ticks, widened};

/// The style sheet of all charts: part of each SVG file, and once in the HTML report, whose custom
/// properties replace the colours for dark screens.
pub const STYLE: &str = include_str!("chart.css");

/// A line chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Heading.
    pub title: String,
    /// Smaller second heading.
    pub subtitle: String,
    /// Width in pixels.
    pub width: f64,
    /// Height in pixels.
    pub height: f64,
    /// What the horizontal axis counts.
    pub x: XAxis,
    /// How values are written.
    pub unit: Unit,
    /// The lines.
    pub series: Vec<Series>,
    /// A place to point out.
    pub mark: Option<Mark>,
    /// A level to compare with.
    pub reference: Option<Reference>,
}

/// The horizontal axis.
#[derive(Debug, Clone, PartialEq)]
pub enum XAxis {
    /// Training epochs on a linear scale, with ticks at whole numbers.
    Epochs,
    /// Label fractions on a logarithmic scale, with a tick at each of these.
    Fractions(Vec<Fraction>),
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Style class.
    pub class: &'static str,
    /// Values in order of x.
    pub dots: Vec<Dot>,
}

/// A value of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// Horizontal position.
    pub x: f64,
    /// Value.
    pub y: f64,
    /// Half length of the error bar.
    pub spread: Option<f64>,
}

/// A marked position: a vertical line, with a ring on one of the lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Horizontal position.
    pub x: f64,
    /// Which line carries the ring.
    pub series: usize,
    /// Text beside it.
    pub label: String,
}

/// A horizontal line.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Value.
    pub y: f64,
    /// Text beside it.
    pub label: String,
}

/// Larger values are left out: no loss that still trains comes near, and the axes stay computable.
const LARGEST: f64 = 1e12;
/// Lines with more dots than this are drawn without them.
const MOST_DOTS: usize = 60;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 36.0;

impl Chart {
    /// The chart as an element of an HTML page that has [`STYLE`].
    pub fn inline(&self) -> String {
        let (w, h) = (self.width, self.height);
        format!(
            "<svg class=\"chart\" viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"{label}\">{body}</svg>",
            label = self.label(),
            body = self.body()
        )
    }

    /// The chart as a file of its own.
    pub fn file(&self) -> String {
        let (w, h) = (self.width, self.height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" \
             height=\"{h}\" role=\"img\" aria-label=\"{label}\">\n<style>\n{STYLE}</style>\n\
             <rect class=\"background\" width=\"{w}\" height=\"{h}\"/>{body}</svg>\n",
            label = self.label(),
            body = self.body()
        )
    }

    fn label(&self) -> String {
        text::html(&format!("{}: {}", self.title, self.subtitle))
    }

    fn body(&self) -> String {
        let mut out = String::new();
        self.draw(&mut out).expect("writing to a string does not fail");
        out
    }

    fn draw(&self, out: &mut String) -> std::fmt::Result {
        self.draw_heading(out)?;
        let drawable = |dot: &&Dot| dot.x.is_finite() && dot.y.is_finite() && dot.y.abs() <= LARGEST;
        let lines: Vec<Vec<Dot>> =
            self.series.iter().map(|series| series.dots.iter().filter(drawable).copied().collect()).collect();
        if lines.iter().all(Vec::is_empty) {
            let (x, y) = ((LEFT + self.width - RIGHT) / 2.0, (TOP + self.height - BOTTOM) / 2.0);
            return write!(
                out,
                "<text class=\"empty\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">no data</text>"
            );
        }
        let frame = Frame::around(self, &lines);
        frame.draw_grid(self, out)?;
        if let Some(reference) = self.reference.as_ref().filter(|reference| frame.shows(reference.y)) {
            frame.draw_reference(reference, out)?;
        }
        // The ring and its line lie below the curves, the label above them.
        let marked = self.mark.as_ref().and_then(|mark| {
            let dot = lines.get(mark.series)?.iter().find(|dot| dot.x == mark.x)?;
            Some((mark, frame.place(dot)))
        });
        if let Some((_, (x, _))) = marked {
            write!(
                out,
                "<line class=\"selected\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/>",
                frame.bottom()
            )?;
        }
        for (i, (series, line)) in self.series.iter().zip(&lines).enumerate() {
            let dodge = match self.x {
                XAxis::Epochs => 0.0,
                XAxis::Fractions(_) => (i as f64 - (lines.len() as f64 - 1.0) / 2.0) * 4.0,
            };
            frame.draw_line(self, series, line, dodge, out)?;
        }
        if let Some((mark, (x, y))) = marked {
            let (shift, anchor) = if x > self.width * 0.6 { (-6.0, "end") } else { (6.0, "start") };
            // At the end of the vertical line that is farther from the ring, where curves are rarer.
            let level = if y < (TOP + frame.bottom()) / 2.0 { frame.bottom() - 7.0 } else { TOP + 10.0 };
            write!(
                out,
                "<circle class=\"selected-dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.2\"/>\
                 <text class=\"halo\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                x + shift,
                level,
                text::html(&mark.label)
            )?;
        }
        Ok(())
    }

    /// Title at the left, legend at the right.
    fn draw_heading(&self, out: &mut String) -> std::fmt::Result {
        write!(
            out,
            "<text class=\"title\" x=\"10\" y=\"18\">{}</text><text x=\"10\" y=\"34\">{}</text>",
            text::html(&self.title),
            text::html(&self.subtitle)
        )?;
        let length = |series: &Series| 26.0 + 6.0 * series.name.chars().count() as f64 + 10.0;
        let mut x = self.width - RIGHT + 10.0 - self.series.iter().map(length).sum::<f64>();
        for series in &self.series {
            write!(
                out,
                "<line class=\"line {class}\" x1=\"{x:.1}\" x2=\"{:.1}\" y1=\"14\" y2=\"14\"/>\
                 <text class=\"legend\" x=\"{:.1}\" y=\"18\">{}</text>",
                x + 20.0,
                x + 25.0,
                text::html(&series.name),
                class = series.class,
            )?;
            x += length(series);
        }
        Ok(())
    }
}

/// The plot area: ranges of both axes and where they lie on the page.
struct Frame {
    width: f64,
    height: f64,
    x: (f64, f64),
    x_ticks: Vec<(f64, String)>,
    logarithmic: bool,
    y: (f64, f64),
    y_step: f64,
}

impl Frame {
    fn around(chart: &Chart, lines: &[Vec<Dot>]) -> Self {
        let dots = || lines.iter().flatten();
        let (x, x_ticks, logarithmic) = match &chart.x {
            XAxis::Epochs => {
                let (low, high) = widened(extent(dots().map(|dot| dot.x)), 0.5);
                let step = round_step(high - low, 6.0).max(1.0);
                ((low, high), ticks(low, high, step).into_iter().map(|x| (x, format!("{x:.0}"))).collect(), false)
            }
            XAxis::Fractions(fractions) => {
                let position = |fraction: &Fraction| fraction.value().log10();
                let (low, high) = widened(extent(fractions.iter().map(position)), 0.3);
                let margin = 0.05 * (high - low);
                let x_ticks = fractions.iter().map(|fraction| (position(fraction), fraction.percent())).collect();
                ((low - margin, high + margin), x_ticks, true)
            }
        };
        let spread = |dot: &Dot| dot.spread.filter(|spread| spread.is_finite()).unwrap_or(0.0);
        let ends = dots().flat_map(|dot| [dot.y - spread(dot), dot.y + spread(dot)]);
        let ends = ends.chain(chart.reference.iter().map(|reference| reference.y));
        let found = extent(ends);
        let (low, high) = widened(found, if found.0 == 0.0 { 0.5 } else { found.0.abs() * 0.25 });
        let y_step = round_step(high - low, 4.0);
        let (mut low, mut high) = ((low / y_step).floor() * y_step, (high / y_step).ceil() * y_step);
        if chart.unit == Unit::Percent {
            (low, high) = (low.max(0.0), high.min(1.0));
            if high <= low {
                (low, high) = (0.0, 1.0);
            }
        }
        Self { width: chart.width, height: chart.height, x, x_ticks, logarithmic, y: (low, high), y_step }
    }

    fn right(&self) -> f64 {
        self.width - RIGHT
    }

    fn bottom(&self) -> f64 {
        self.height - BOTTOM
    }

    fn shows(&self, y: f64) -> bool {
        (self.y.0..=self.y.1).contains(&y)
    }

    fn at_x(&self, x: f64) -> f64 {
        LEFT + (x - self.x.0) / (self.x.1 - self.x.0) * (self.right() - LEFT)
    }

    fn at_y(&self, y: f64) -> f64 {
        let share = ((y - self.y.0) / (self.y.1 - self.y.0)).clamp(0.0, 1.0);
        self.bottom() - share * (self.bottom() - TOP)
    }

    fn place(&self, dot: &Dot) -> (f64, f64) {
        (self.at_x(if self.logarithmic { dot.x.log10() } else { dot.x }), self.at_y(dot.y))
    }

    fn draw_grid(&self, chart: &Chart, out: &mut String) -> std::fmt::Result {
        let (right, bottom) = (self.right(), self.bottom());
        for value in ticks(self.y.0, self.y.1, self.y_step) {
            let y = self.at_y(value);
            write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 3.6,
                tick_label(value, self.y_step, chart.unit)
            )?;
        }
        write!(out, "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right:.1}\" y1=\"{bottom:.1}\" y2=\"{bottom:.1}\"/>")?;
        for (position, label) in &self.x_ticks {
            let x = self.at_x(*position);
            write!(
                out,
                "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom:.1}\" y2=\"{:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 4.0,
                bottom + 15.0,
                text::html(label)
            )?;
        }
        let name = if self.logarithmic { "labels (logarithmic)" } else { "epoch" };
        let (x, y) = ((LEFT + right) / 2.0, self.height - 6.0);
        write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{name}</text>")
    }

    fn draw_reference(&self, reference: &Reference, out: &mut String) -> std::fmt::Result {
        let (y, right) = (self.at_y(reference.y), self.right());
        write!(
            out,
            "<line class=\"reference\" x1=\"{LEFT}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"halo\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            right - 4.0,
            y - 5.0,
            text::html(&reference.label)
        )
    }

    fn draw_line(
        &self,
        chart: &Chart,
        series: &Series,
        line: &[Dot],
        dodge: f64,
        out: &mut String,
    ) -> std::fmt::Result {
        let place = |dot: &Dot| {
            let (x, y) = self.place(dot);
            (x + dodge, y)
        };
        let class = series.class;
        for dot in line {
            if let Some(spread) = dot.spread.filter(|spread| spread.is_finite()) {
                let (x, _) = place(dot);
                let (y1, y2) = (self.at_y(dot.y - spread), self.at_y(dot.y + spread));
                write!(
                    out,
                    "<path class=\"spread {class}\" d=\"M{x:.1} {y1:.1}V{y2:.1}M{a:.1} {y1:.1}H{b:.1}M{a:.1} {y2:.1}H{b:.1}\"/>",
                    a = x - 3.0,
                    b = x + 3.0
                )?;
            }
        }
        if line.len() > 1 {
            write!(out, "<polyline class=\"line {class}\" points=\"")?;
            for dot in line {
                let (x, y) = place(dot);
                write!(out, "{x:.1},{y:.1} ")?;
            }
            out.push_str("\"/>");
        }
        if line.len() <= MOST_DOTS {
            for dot in line {
                let (x, y) = place(dot);
                let value = match chart.unit {
                    Unit::Number => format!("{:.4}", dot.y),
                    Unit::Percent => format!("{:.2} %", 100.0 * dot.y),
                };
                let at = match &chart.x {
                    XAxis::Epochs => format!("epoch {:.0}", dot.x),
                    XAxis::Fractions(_) => Fraction::new(dot.x).map_or_else(String::new, Fraction::percent),
                };
                write!(
                    out,
                    "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\"><title>{}</title></circle>",
                    text::html(&format!("{}, {at}: {value}", series.name))
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64], unit: Unit) -> Chart {
        let dots = |shift: f64| {
            let dot = |(i, y): (usize, &f64)| Dot { x: i as f64 + 1.0, y: y + shift, spread: None };
            values.iter().enumerate().map(dot).collect()
        };
        Chart {
            title: "T <&>".to_owned(),
            subtitle: "s".to_owned(),
            width: 360.0,
            height: 220.0,
            x: XAxis::Epochs,
            unit,
            series: vec![
                Series { name: "train".to_owned(), class: "train", dots: dots(0.0) },
                Series { name: "validation".to_owned(), class: "validation", dots: dots(0.0) },
            ],
            mark: Some(Mark { x: 1.0, series: 1, label: "selected: 1".to_owned() }),
            reference: None,
        }
    }

    #[test]
    fn degenerate_series_make_clean_charts() {
        let huge = [f64::MAX, f64::MIN];
        let cases: [&[f64]; 8] = [
            &[],
            &[0.0],
            &[1.0; 3],
            &[f64::NAN, f64::INFINITY],
            &huge,
            &[1.0, f64::NAN, 3.0],
            &[1e11, -1e11],
            &[1e-300],
        ];
        for values in cases {
            for unit in [Unit::Number, Unit::Percent] {
                let svg = chart(values, unit).file();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{values:?}: {svg}");
                let drawable = values.iter().any(|value| value.abs() <= LARGEST);
                assert_eq!(svg.contains("no data"), !drawable, "{values:?}");
                assert_eq!(svg.contains("selected: 1"), values.first().is_some_and(|value| value.abs() <= LARGEST));
                assert!(svg.contains("T &lt;&amp;&gt;") && svg.ends_with("</svg>\n"));
            }
        }
    }

    #[test]
    fn larger_values_lie_higher() {
        let svg = chart(&[1.0, 2.0], Unit::Number).inline();
        let line = svg.split("<polyline class=\"line train\" points=\"").nth(1).expect("two points make a line");
        let heights: Vec<f64> = line
            .split_once(" \"")
            .expect("the attribute ends")
            .0
            .split(' ')
            .map(|pair| pair.split_once(',').expect("x,y").1.parse().expect("a number"))
            .collect();
        assert_eq!(heights, [184.0, 48.0]);
    }
}
