//! `tensorboard/`: event files for TensorBoard, a run for each cell.
//!
//! Values have single precision. The format has tensors in double precision too, but the data server that TensorBoard
//! starts by default drops them without a word. Points have no time of their own: the time of an event is the training time
//! of its cell, counted from the Unix epoch.

mod messages;
mod record;

use std::collections::BTreeMap;

use pretext_shared::point::Point;
use pretext_shared::stage::{Budget, StageKind, StageSpec};
use pretext_shared::sweep::{Cell, CellState, StageView, SweepView};
use prost::Message;
use prost_types::Value;
use prost_types::value::Kind;

use self::messages::{
    Content, DataType, End, Event, Experiment, FILE_VERSION, MetricInfo, MetricName, ParameterInfo, Part, Start,
    Status, Tagged,
};
use super::folder::{Folder, cell_stem};

/// The name of every file. TensorBoard reads files with `tfevents` in their names; the digits usually are the time of
/// creation.
const FILE: &str = "events.out.tfevents.0000000000.pretext";

/// Adds a run for every cell, and the list of parameters and metrics that TensorBoard shows as a table.
pub fn add(view: &SweepView, folder: &mut Folder) {
    let parameters: Vec<BTreeMap<String, Value>> = view.cells.iter().map(|cell| parameters(view, cell)).collect();
    let mut file = File::new();
    file.add(&Tagged::parameters(Part::Experiment(experiment(view, &parameters))).at(0, 0.0));
    folder.add(&format!("tensorboard/{FILE}"), file.0);
    for (cell, parameters) in view.cells.iter().zip(parameters) {
        folder.add(&format!("tensorboard/{}/{FILE}", cell_stem(&cell.key)), run(view, cell, parameters));
    }
}

/// An event file in memory.
struct File(Vec<u8>);

impl File {
    fn new() -> Self {
        let mut file = Self(Vec::new());
        let version = Content::FileVersion(FILE_VERSION.to_owned());
        file.add(&Event { wall_time: 0.0, step: 0, content: Some(version) });
        file
    }

    fn add(&mut self, event: &Event) {
        record::append(&mut self.0, &event.encode_to_vec());
    }
}

/// Returns the file of one cell.
fn run(view: &SweepView, cell: &Cell, parameters: BTreeMap<String, Value>) -> Vec<u8> {
    let mut file = File::new();
    file.add(&Tagged::parameters(Part::Start(Start { parameters })).at(0, 0.0));
    let mut begin = 0.0;
    for (id, stage) in cell.stages().filter_map(|id| Some((id, view.stages.get(&id)?))) {
        // Of a stage without a result the training time is not known: its points stand at its begin.
        let (steps, seconds) = view.result(id).map_or((0, 0.0), |result| (result.steps, result.seconds));
        for point in &stage.points {
            let share = if steps == 0 { 0.0 } else { point.step as f64 / steps as f64 };
            let step = i64::try_from(point.step).unwrap_or(i64::MAX);
            file.add(&Tagged::scalar(tag(stage, point), point.value).at(step, begin + share * seconds));
        }
        begin += seconds;
    }
    let status = match view.state(cell) {
        CellState::Succeeded => Some(Status::Success),
        CellState::Failed => Some(Status::Failure),
        CellState::Cancelled => Some(Status::Unknown),
        // A run without an end is one that runs.
        CellState::Pending | CellState::Running => None,
    };
    if let Some(status) = status {
        let end = End { status: status.into(), seconds: begin };
        file.add(&Tagged::parameters(Part::End(end)).at(0, begin));
    }
    file.0
}

/// Returns `STAGE/PART/METRIC`, as the read API names a series; `test/METRIC` for a test stage.
fn tag(stage: &StageView, point: &Point) -> String {
    let (part, metric) = (point.part.as_str(), point.metric.as_str());
    match stage.stage.spec.kind() {
        StageKind::Test => format!("{part}/{metric}"),
        kind => format!("{}/{part}/{metric}", kind.as_str()),
    }
}

/// Returns the parameters of a cell: its place in the sweep, and the training of its stages.
fn parameters(view: &SweepView, cell: &Cell) -> BTreeMap<String, Value> {
    let key = &cell.key;
    let mut all = BTreeMap::from([
        ("method".to_owned(), text(key.method.as_str())),
        ("fraction".to_owned(), number(key.fraction.value())),
        ("policy".to_owned(), text(&key.lr)),
        ("seed".to_owned(), number(key.seed as f64)),
        ("mode".to_owned(), text(cell.mode.as_str())),
    ]);
    for stage in cell.stages().filter_map(|id| view.stages.get(&id)) {
        let (spec, kind) = (&stage.stage.spec, stage.stage.spec.kind().as_str());
        let Some(train) = spec.train() else { continue };
        let (unit, length) = match train.budget {
            Budget::Epochs(epochs) => ("epochs", f64::from(epochs)),
            Budget::Steps(steps) => ("steps", steps as f64),
        };
        for (name, value) in [("lr", train.lr.base()), ("batch", f64::from(train.batch)), (unit, length)] {
            all.insert(format!("{kind}/{name}"), number(value));
        }
        if let StageSpec::Downstream(spec) = spec {
            all.insert("split_seed".to_owned(), number(spec.split.seed as f64));
        }
    }
    all
}

/// Returns the columns of TensorBoard's table: all parameters, and the test scores.
fn experiment(view: &SweepView, runs: &[BTreeMap<String, Value>]) -> Experiment {
    let kind = |value: &Value| match value.kind {
        Some(Kind::NumberValue(_)) => DataType::Number,
        _ => DataType::Text,
    };
    let all: BTreeMap<&String, DataType> = runs.iter().flatten().map(|(name, value)| (name, kind(value))).collect();
    let metric = |(tag, title): (&str, &str)| MetricInfo {
        name: Some(MetricName { tag: tag.to_owned() }),
        title: title.to_owned(),
    };
    let metrics = [("test/accuracy", "test accuracy"), ("test/loss", "test loss")];
    Experiment {
        name: view.id.to_string(),
        parameters: all
            .into_iter()
            .map(|(name, kind)| ParameterInfo { name: name.clone(), kind: kind.into() })
            .collect(),
        metrics: metrics.map(metric).into(),
    }
}

fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

fn number(value: f64) -> Value {
    Value { kind: Some(Kind::NumberValue(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    /// The events of a file; panics if their frames do not fit.
    fn events(mut file: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some((length, rest)) = file.split_first_chunk::<8>() {
            let length = u64::from_le_bytes(*length) as usize;
            events.push(Event::decode(&rest[4..4 + length]).expect("an event"));
            file = &rest[4 + length + 4..];
        }
        events
    }

    #[test]
    fn a_run_has_every_point_of_its_cell_and_its_time_never_goes_back() {
        let view = fixture::view();
        let mut folder = Folder::default();
        add(&view, &mut folder);
        assert_eq!(folder.iter().count(), view.cells.len() + 1);
        for cell in &view.cells {
            let path = format!("tensorboard/{}/{FILE}", cell_stem(&cell.key));
            let events = events(folder.get(&path).expect("a run"));
            let points = cell.stages().map(|id| view.stages[&id].points.len()).sum::<usize>();
            let ends = usize::from(view.state(cell).is_final());
            assert_eq!(events.len(), points + 2 + ends, "{path}");
            assert_eq!(events[0].content, Some(Content::FileVersion(FILE_VERSION.to_owned())));
            assert!(events.is_sorted_by(|a, b| a.wall_time <= b.wall_time), "{path}");
        }
    }
}
