//! `points.csv`: every point of every stage, each stage once.

use std::fmt::Write;

use pretext_shared::sweep::SweepView;

/// Returns `stage,kind,split,metric,epoch,step,value`, ordered by stage id and then as the points came. Values
/// are the shortest decimals that read back as the same number.
pub fn csv(view: &SweepView) -> String {
    let mut csv = String::from("stage,kind,split,metric,epoch,step,value\n");
    for (id, stage) in &view.stages {
        let kind = stage.stage.spec.kind().as_str();
        for point in &stage.points {
            let (part, metric) = (point.part.as_str(), point.metric.as_str());
            writeln!(csv, "{id},{kind},{part},{metric},{},{},{}", point.epoch, point.step, point.value)
                .expect("writing to a string does not fail");
        }
    }
    csv
}
