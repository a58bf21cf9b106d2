//! A small writer of line charts as SVG: axes with round ticks, a grid, a legend and a marked point.
//!
//! Colours come from `style.rs` (Okabe and Ito's palette, which colour-blind readers tell apart; line patterns differ
//! too). A chart draws what it can: values that are not finite are left out, and a chart without values says "no data".

use pretext_html::{Html, html};
use pretext_shared::split::Fraction;

use super::scale::{Unit, extent, round_step, tick_label, ticks, widened};
use super::style::STYLE;
use crate::notation::{loss, percent};

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
    /// The horizontal axis.
    pub x: XAxis,
    /// The unit of values.
    pub unit: Unit,
    /// The lines.
    pub series: Vec<Series>,
    /// A position to point out.
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
    /// Returns the chart as an element of an HTML page that has [`STYLE`].
    pub fn inline(&self) -> Html {
        html!(
            "<svg class=\"chart\" viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"{label}\">{body}</svg>",
            w = self.width,
            h = self.height,
            label = self.label(),
            body = self.body()
        )
    }

    /// Returns the chart as a file of its own.
    pub fn file(&self) -> String {
        let file = html!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" \
             height=\"{h}\" role=\"img\" aria-label=\"{label}\">\n<style>\n{style}</style>\n\
             <rect class=\"background\" width=\"{w}\" height=\"{h}\"/>{body}</svg>\n",
            w = self.width,
            h = self.height,
            label = self.label(),
            style = Html::fixed(&STYLE),
            body = self.body()
        );
        file.into_string()
    }

    fn label(&self) -> String {
        format!("{}: {}", self.title, self.subtitle)
    }

    fn body(&self) -> Html {
        let drawable = |dot: &&Dot| dot.x.is_finite() && dot.y.is_finite() && dot.y.abs() <= LARGEST;
        let lines: Vec<Vec<Dot>> =
            self.series.iter().map(|series| series.dots.iter().filter(drawable).copied().collect()).collect();
        let plot = if lines.iter().all(Vec::is_empty) { self.empty() } else { self.plot(&lines) };
        [self.heading(), plot].into_iter().collect()
    }

    fn empty(&self) -> Html {
        html!(
            "<text class=\"empty\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">no data</text>",
            px((LEFT + self.width - RIGHT) / 2.0),
            px((TOP + self.height - BOTTOM) / 2.0)
        )
    }

    fn plot(&self, lines: &[Vec<Dot>]) -> Html {
        let frame = Frame::around(self, lines);
        let reference = self.reference.as_ref().filter(|reference| frame.shows(reference.y));
        // The ring and its line lie below the curves, the label above them.
        let marked = self.mark.as_ref().and_then(|mark| {
            let dot = lines.get(mark.series)?.iter().find(|dot| dot.x == mark.x)?;
            Some((mark, frame.position(dot)))
        });
        let mut pieces = vec![frame.grid(self)];
        pieces.extend(reference.map(|reference| frame.reference(reference)));
        pieces.extend(marked.map(|(_, (x, _))| {
            html!(
                "<line class=\"selected\" x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\"/>",
                x = px(x),
                top = TOP,
                bottom = px(frame.bottom())
            )
        }));
        for (i, (series, line)) in self.series.iter().zip(lines).enumerate() {
            let dodge = match self.x {
                XAxis::Epochs => 0.0,
                XAxis::Fractions(_) => (i as f64 - (lines.len() as f64 - 1.0) / 2.0) * 4.0,
            };
            pieces.push(frame.line(self, series, line, dodge));
        }
        pieces.extend(marked.map(|(mark, at)| self.mark_label(&frame, mark, at)));
        pieces.into_iter().collect()
    }

    fn mark_label(&self, frame: &Frame, mark: &Mark, (x, y): (f64, f64)) -> Html {
        let (shift, anchor) = if x > self.width * 0.6 { (-6.0, "end") } else { (6.0, "start") };
        // At the end of the vertical line that is farther from the ring, where curves are rarer.
        let level = if y < (TOP + frame.bottom()) / 2.0 { frame.bottom() - 7.0 } else { TOP + 10.0 };
        html!(
            "<circle class=\"selected-dot\" cx=\"{x}\" cy=\"{y}\" r=\"4.2\"/>\
             <text class=\"halo\" x=\"{beside}\" y=\"{level}\" text-anchor=\"{anchor}\">{label}</text>",
            x = px(x),
            y = px(y),
            beside = px(x + shift),
            level = px(level),
            anchor = anchor,
            label = mark.label
        )
    }

    /// Returns the title at the left and the legend at the right.
    fn heading(&self) -> Html {
        let titles = html!(
            "<text class=\"title\" x=\"10\" y=\"18\">{}</text><text x=\"10\" y=\"34\">{}</text>",
            self.title,
            self.subtitle
        );
        let length = |series: &Series| 26.0 + 6.0 * series.name.chars().count() as f64 + 10.0;
        let mut x = self.width - RIGHT + 10.0 - self.series.iter().map(length).sum::<f64>();
        let legend = self.series.iter().map(|series| {
            let from = x;
            x += length(series);
            html!(
                "<line class=\"line {class}\" x1=\"{from}\" x2=\"{to}\" y1=\"14\" y2=\"14\"/>\
                 <text class=\"legend\" x=\"{text}\" y=\"18\">{name}</text>",
                class = series.class,
                from = px(from),
                to = px(from + 20.0),
                text = px(from + 25.0),
                name = series.name
            )
        });
        std::iter::once(titles).chain(legend).collect()
    }
}

/// Formats a coordinate.
fn px(value: f64) -> String {
    format!("{value:.1}")
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

    fn position(&self, dot: &Dot) -> (f64, f64) {
        (self.at_x(if self.logarithmic { dot.x.log10() } else { dot.x }), self.at_y(dot.y))
    }

    fn grid(&self, chart: &Chart) -> Html {
        let (right, bottom) = (self.right(), self.bottom());
        let horizontal = ticks(self.y.0, self.y.1, self.y_step).into_iter().map(|value| {
            let y = self.at_y(value);
            html!(
                "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y}\" y2=\"{y}\"/>\
                 <text x=\"{beside}\" y=\"{level}\" text-anchor=\"end\">{label}</text>",
                left = LEFT,
                right = px(right),
                y = px(y),
                beside = px(LEFT - 6.0),
                level = px(y + 3.6),
                label = tick_label(value, self.y_step, chart.unit)
            )
        });
        let axis = html!(
            "<line class=\"axis\" x1=\"{left}\" x2=\"{right}\" y1=\"{y}\" y2=\"{y}\"/>",
            left = LEFT,
            right = px(right),
            y = px(bottom)
        );
        let vertical = self.x_ticks.iter().map(|(position, label)| {
            html!(
                "<line class=\"axis\" x1=\"{x}\" x2=\"{x}\" y1=\"{bottom}\" y2=\"{below}\"/>\
                 <text x=\"{x}\" y=\"{level}\" text-anchor=\"middle\">{label}</text>",
                x = px(self.at_x(*position)),
                bottom = px(bottom),
                below = px(bottom + 4.0),
                level = px(bottom + 15.0),
                label = label
            )
        });
        let name = html!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            px((LEFT + right) / 2.0),
            px(self.height - 6.0),
            if self.logarithmic { "labels (logarithmic)" } else { "epoch" }
        );
        horizontal.chain([axis]).chain(vertical).chain([name]).collect()
    }

    fn reference(&self, reference: &Reference) -> Html {
        let (y, right) = (self.at_y(reference.y), self.right());
        html!(
            "<line class=\"reference\" x1=\"{left}\" x2=\"{right}\" y1=\"{y}\" y2=\"{y}\"/>\
             <text class=\"halo\" x=\"{beside}\" y=\"{level}\" text-anchor=\"end\">{label}</text>",
            left = LEFT,
            right = px(right),
            y = px(y),
            beside = px(right - 4.0),
            level = px(y - 5.0),
            label = reference.label
        )
    }

    fn line(&self, chart: &Chart, series: &Series, line: &[Dot], dodge: f64) -> Html {
        let position = |dot: &Dot| {
            let (x, y) = self.position(dot);
            (x + dodge, y)
        };
        let bars = line.iter().filter_map(|dot| {
            let spread = dot.spread.filter(|spread| spread.is_finite())?;
            let (x, _) = position(dot);
            Some(html!(
                "<path class=\"spread {class}\" d=\"M{x} {low}V{high}M{a} {low}H{b}M{a} {high}H{b}\"/>",
                class = series.class,
                x = px(x),
                low = px(self.at_y(dot.y - spread)),
                high = px(self.at_y(dot.y + spread)),
                a = px(x - 3.0),
                b = px(x + 3.0)
            ))
        });
        let points = || line.iter().map(position).map(|(x, y)| format!("{x:.1},{y:.1} ")).collect::<String>();
        let curve =
            (line.len() > 1).then(|| html!("<polyline class=\"line {}\" points=\"{}\"/>", series.class, points()));
        let dots = line.iter().filter(|_| line.len() <= MOST_DOTS).map(|dot| {
            let (x, y) = position(dot);
            let value = match chart.unit {
                Unit::Number => loss(dot.y),
                Unit::Percent => format!("{} %", percent(dot.y)),
            };
            let at = match &chart.x {
                XAxis::Epochs => format!("epoch {:.0}", dot.x),
                XAxis::Fractions(_) => Fraction::new(dot.x).map_or_else(String::new, Fraction::percent),
            };
            html!(
                "<circle class=\"dot {class}\" cx=\"{x}\" cy=\"{y}\" r=\"2.6\"><title>{title}</title></circle>",
                class = series.class,
                x = px(x),
                y = px(y),
                title = format!("{}, {at}: {value}", series.name)
            )
        });
        bars.chain(curve).chain(dots).collect()
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
        let svg = chart(&[1.0, 2.0], Unit::Number).file();
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
