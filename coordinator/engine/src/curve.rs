//! The curve of a stage, folded from the point batches of all its attempts.

use std::collections::BTreeMap;

use pretext_shared::ids::Fence;
use pretext_shared::point::{Metric, Part, Point};

use super::{Batch, GrantRecord};

/// Returns the points of a stage, each once, with strictly increasing steps within each series.
///
/// An attempt that resumes from step *s* supersedes all older points past *s*, and sends those up to *s* again. The
/// older ones are used until then. `batches` and `grants` are those of the stage, in any order.
pub fn curve(batches: &[Batch], grants: &[(Fence, GrantRecord)]) -> Vec<Point> {
    let resumes: BTreeMap<Fence, u64> = grants.iter().map(|(fence, grant)| (*fence, grant.resume_step)).collect();
    let mut streams: BTreeMap<Fence, Vec<&Batch>> = resumes.keys().map(|fence| (*fence, Vec::new())).collect();
    for batch in batches {
        streams.entry(batch.fence).or_default().push(batch);
    }
    let mut points: BTreeMap<(u64, Part, Metric), Point> = BTreeMap::new();
    for (fence, mut stream) in streams {
        let resume = resumes.get(&fence).copied().unwrap_or(0);
        points.retain(|(step, ..), _| *step <= resume);
        stream.sort_by_key(|batch| batch.sequence);
        let sent = stream.into_iter().flat_map(|batch| &batch.points);
        points.extend(sent.map(|point| ((point.step, point.part, point.metric), *point)));
    }
    points.into_values().collect()
}
