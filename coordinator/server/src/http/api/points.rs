//! The series of a stage: its points by name, over steps, epochs, images or seconds, thinned to a number of points.

use std::collections::BTreeMap;
use std::str::FromStr;

use pretext_engine::{GrantRecord, StageBrief};
use pretext_shared::point::Point;
use pretext_shared::sweep::StageStatus;
use serde::Serialize;

use super::thin::thin;

/// The quantity of the x axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum XAxis {
    /// Optimizer steps.
    Step,
    /// Epochs; steps within an epoch are fractions.
    Epoch,
    /// Images that entered the network, each view counted.
    Images,
    /// Seconds of training, spread evenly over the steps.
    Seconds,
}

impl FromStr for XAxis {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "step" => Ok(XAxis::Step),
            "epoch" => Ok(XAxis::Epoch),
            "images" => Ok(XAxis::Images),
            "seconds" => Ok(XAxis::Seconds),
            _ => Err(()),
        }
    }
}

/// A request for series.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The x axis.
    pub(super) x: XAxis,
    /// Names of series; empty for all.
    pub(super) names: Vec<String>,
    /// Most points of a series.
    pub(super) points: usize,
    /// The smallest and the largest x.
    pub(super) range: (f64, f64),
}

/// A series of a stage.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Series {
    /// `STAGE/PART/METRIC`, such as `pretext/train/loss`.
    name: String,
    /// Number of points in the range, before thinning.
    count: usize,
    x: Vec<f64>,
    y: Vec<f64>,
}

/// The last grant of a stage, and the time now: together they give a running stage its seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Granted<'a> {
    /// The grant.
    pub(super) grant: Option<&'a GrantRecord>,
    /// Milliseconds since the Unix epoch.
    pub(super) now_ms: u64,
}

/// Returns the value of the x axis after one step: every axis is proportional to steps. `None` if it is not known.
fn per_step(x: XAxis, stage: &StageBrief, points: &[Point], granted: Granted<'_>) -> Option<f64> {
    let cost = &stage.cost;
    match x {
        XAxis::Step => Some(1.0),
        XAxis::Images => (cost.steps > 0).then(|| cost.images_seen as f64 / cost.steps as f64),
        XAxis::Epoch => {
            // The last epoch may be incomplete. The first is complete once the second has begun.
            let has_second = points.iter().any(|point| point.epoch > 1);
            let first = points.iter().filter(|point| point.epoch <= 1).map(|point| point.step).max();
            let steps = first.filter(|_| has_second).unwrap_or(cost.steps.div_ceil(u64::from(cost.epochs.max(1))));
            (steps > 0).then(|| 1.0 / steps as f64)
        }
        XAxis::Seconds => {
            let resumed = granted.grant.map_or(0, |grant| grant.resume_step);
            let (steps, seconds) = match &stage.status {
                StageStatus::Succeeded(result) => (result.steps, result.seconds),
                StageStatus::Running { step, .. } => {
                    let began = granted.grant?.granted_ms;
                    (*step, granted.now_ms.saturating_sub(began) as f64 / 1e3)
                }
                StageStatus::Pending | StageStatus::Failed(_) | StageStatus::Cancelled => return None,
            };
            let steps = steps.saturating_sub(resumed);
            (steps > 0).then(|| seconds / steps as f64)
        }
    }
}

/// Returns the name of a point's series.
fn name(stage: &StageBrief, point: &Point) -> String {
    format!("{}/{}/{}", stage.kind.as_str(), point.part.as_str(), point.metric.as_str())
}

/// Returns the names of all series of a stage.
pub(super) fn names(stage: &StageBrief, points: &[Point]) -> Vec<String> {
    let mut kinds: Vec<_> = points.iter().map(|point| (point.part, point.metric)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let of = |(part, metric)| points.iter().find(|point| point.part == part && point.metric == metric);
    kinds.into_iter().filter_map(of).map(|point| name(stage, point)).collect()
}

/// Returns the wanted series of a stage. They are empty if the x axis is not known.
pub(super) fn series(stage: &StageBrief, points: &[Point], granted: Granted<'_>, wanted: &Wanted) -> Vec<Series> {
    let Some(scale) = per_step(wanted.x, stage, points, granted) else { return Vec::new() };
    let mut found: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
    for point in points {
        let x = point.step as f64 * scale;
        if (wanted.range.0..=wanted.range.1).contains(&x) {
            found.entry((point.part, point.metric)).or_default().push((x, point.value));
        }
    }
    let named = found.into_iter().map(|((part, metric), values)| {
        (format!("{}/{}/{}", stage.kind.as_str(), part.as_str(), metric.as_str()), values)
    });
    let chosen = named.filter(|(name, _)| wanted.names.is_empty() || wanted.names.contains(name));
    let thinned = chosen.map(|(name, values)| {
        let (x, y) = thin(&values, wanted.points).into_iter().unzip();
        Series { name, count: values.len(), x, y }
    });
    thinned.collect()
}

#[cfg(test)]
mod tests {
    use pretext_engine::Holder;
    use pretext_engine::fixtures::{result, worker};
    use pretext_shared::ids::{ContentHash, StageId};
    use pretext_shared::point::{Metric, Part};
    use pretext_shared::stage::StageKind;
    use pretext_shared::sweep::Cost;

    use super::*;

    fn stage(status: StageStatus) -> StageBrief {
        // Four steps an epoch, and an incomplete third epoch.
        let cost = Cost { train_images: 32, validation_images: 8, epochs: 3, steps: 10, images_seen: 80 };
        StageBrief { stage: StageId(ContentHash::of(b"stage")), kind: StageKind::Downstream, cost, status }
    }

    fn points() -> Vec<Point> {
        let of = |part, metric, epoch, step, value| Point { part, metric, epoch, step, value };
        vec![
            of(Part::Train, Metric::StepLoss, 1, 2, 3.0),
            of(Part::Train, Metric::Loss, 1, 4, 2.0),
            of(Part::Validation, Metric::Loss, 1, 4, 2.5),
            of(Part::Train, Metric::Loss, 2, 8, 1.0),
        ]
    }

    fn x(status: StageStatus, x: XAxis, grant: Option<&GrantRecord>) -> Vec<f64> {
        let wanted = Wanted { x, names: vec!["downstream/train/loss".to_owned()], points: 10, range: (0.0, f64::MAX) };
        let series = series(&stage(status), &points(), Granted { grant, now_ms: 21_000 }, &wanted);
        series.into_iter().flat_map(|series| series.x).collect()
    }

    #[test]
    fn every_axis_is_proportional_to_steps() {
        let grant = GrantRecord {
            holder: Holder { worker: worker("a"), device: "cpu".to_owned(), request: "r".to_owned() },
            granted_ms: 1_000,
            resume_step: 4,
        };
        let running = || StageStatus::Running { worker: "a".to_owned(), step: 8 };
        assert_eq!(x(running(), XAxis::Step, None), [4.0, 8.0]);
        assert_eq!(x(running(), XAxis::Epoch, None), [1.0, 2.0], "not of ten steps and three epochs");
        assert_eq!(x(running(), XAxis::Images, None), [32.0, 64.0]);
        // Twenty seconds for the four steps since the resume.
        assert_eq!(x(running(), XAxis::Seconds, Some(&grant)), [20.0, 40.0]);
        let done =
            || StageStatus::Succeeded(pretext_shared::outcome::StageResult { steps: 10, seconds: 3.0, ..result() });
        assert_eq!(x(done(), XAxis::Seconds, Some(&grant)), [2.0, 4.0]);
        assert_eq!(x(StageStatus::Cancelled, XAxis::Seconds, Some(&grant)), [0.0; 0], "not known");
    }

    #[test]
    fn series_have_names_and_a_range() {
        let stage = stage(StageStatus::Pending);
        let granted = Granted { grant: None, now_ms: 0 };
        let all = ["downstream/train/loss", "downstream/train/step-loss", "downstream/validation/loss"];
        assert_eq!(names(&stage, &points()), all);
        let wanted = Wanted { x: XAxis::Step, names: vec![], points: 4, range: (3.0, 5.0) };
        let found = series(&stage, &points(), granted, &wanted);
        assert_eq!(found.iter().map(|series| series.name.as_str()).collect::<Vec<_>>(), [all[0], all[2]]);
        assert_eq!(found[0], Series { name: all[0].to_owned(), count: 1, x: vec![4.0], y: vec![2.0] });
    }
}
