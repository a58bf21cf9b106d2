//! The charts of a report: each cell's curves, and accuracy against label fraction for each policy.

mod scale;
pub mod style;
pub mod svg;

use std::collections::BTreeMap;

use pretext_shared::ids::StageId;
use pretext_shared::point::{Metric, Part};
use pretext_shared::stage::StageKind;
use pretext_shared::sweep::{Cell, SweepView};
use pretext_shared::text;

use self::scale::Unit;
use self::svg::{Chart, Dot, Mark, Reference, Series, XAxis};
use super::numbers::{PolicyTable, Tables};

/// One of a cell's curves.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Pretext or downstream.
    pub kind: StageKind,
    /// The stage whose points it shows.
    pub stage: StageId,
    /// Loss or accuracy.
    pub metric: Metric,
    /// The picture.
    pub chart: Chart,
}

/// Returns the cell's curves: loss and accuracy of pretext (if there is one) and downstream training, with
/// training and validation values together and the selected epoch marked.
pub fn of_cell(view: &SweepView, cell: &Cell) -> Vec<Curve> {
    let stages = cell.pretext.map(|id| (StageKind::Pretext, id)).into_iter();
    let stages = stages.chain([(StageKind::Downstream, cell.downstream)]);
    stages
        .flat_map(|(kind, stage)| {
            [Metric::Loss, Metric::Accuracy].map(|metric| Curve {
                kind,
                stage,
                metric,
                chart: curve_chart(view, cell, kind, stage, metric),
            })
        })
        .collect()
}

fn curve_chart(view: &SweepView, cell: &Cell, kind: StageKind, stage: StageId, metric: Metric) -> Chart {
    let kind = match kind {
        StageKind::Pretext => "Pretext",
        StageKind::Downstream => "Downstream",
        StageKind::Test => "Test",
    };
    let key = &cell.key;
    let selected = view.result(stage).map(|result| result.selected_epoch).filter(|epoch| *epoch > 0);
    Chart {
        title: format!("{kind} {}", metric.as_str()),
        subtitle: text::shorten(
            &format!("{} · {} · {} · seed {}", key.method, key.fraction.percent(), key.lr, key.seed),
            56,
        ),
        width: 360.0,
        height: 220.0,
        x: XAxis::Epochs,
        unit: if metric == Metric::Accuracy { Unit::Percent } else { Unit::Number },
        series: vec![
            series(view, stage, metric, Part::Train, "train", "train"),
            series(view, stage, metric, Part::Validation, "validation", "validation"),
        ],
        mark: selected.map(|epoch| Mark { x: f64::from(epoch), series: 1, label: format!("selected: {epoch}") }),
        reference: None,
    }
}

impl Curve {
    /// Returns whether the curve has any value.
    pub fn has_values(&self) -> bool {
        self.chart.series.iter().any(|series| !series.dots.is_empty())
    }
}

/// Returns one value per epoch: the last one, if an epoch has several.
fn series(view: &SweepView, stage: StageId, metric: Metric, part: Part, name: &str, class: &'static str) -> Series {
    let points = view.stages.get(&stage).map_or(&[][..], |view| &view.points);
    let wanted = points.iter().filter(|point| point.metric == metric && point.part == part);
    let by_epoch: BTreeMap<u32, f64> = wanted.map(|point| (point.epoch, point.value)).collect();
    let dots = by_epoch.into_iter().map(|(epoch, value)| Dot { x: f64::from(epoch), y: value, spread: None });
    Series { name: name.to_owned(), class, dots: dots.collect() }
}

/// Returns mean test accuracy against label fraction, one line per method, ± one standard deviation over seeds.
pub fn label_efficiency(table: &PolicyTable, tables: &Tables) -> Chart {
    let series = table.methods.iter().enumerate().map(|(column, method)| Series {
        name: method.title().to_owned(),
        class: method.as_str(),
        dots: table
            .rows
            .iter()
            .filter_map(|row| {
                let accuracy = row.entries.get(column)?.accuracy?;
                Some(Dot { x: row.fraction.value(), y: accuracy.mean, spread: accuracy.std })
            })
            .collect(),
    });
    Chart {
        title: "Test accuracy".to_owned(),
        subtitle: text::shorten(&format!("by label fraction, learning-rate policy {}", table.lr), 80),
        width: 540.0,
        height: 300.0,
        x: XAxis::Fractions(table.rows.iter().map(|row| row.fraction).collect()),
        unit: Unit::Percent,
        series: series.collect(),
        mark: None,
        reference: tables
            .test_set
            .majority
            .as_ref()
            .map(|majority| Reference { y: majority.accuracy, label: "majority class".to_owned() }),
    }
}
