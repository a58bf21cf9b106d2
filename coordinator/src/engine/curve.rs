//! The curve of a stage, folded from the point batches of all its attempts.

use pretext_shared::ids::Fence;
use pretext_shared::point::Point;

use super::{Batch, GrantRecord};

/// The points of the newest attempt that sent any. An attempt that resumes begins with all points up to the step of
/// its checkpoint, so nothing of the curve is missing.
pub fn curve(batches: &[Batch], _grants: &[(Fence, GrantRecord)]) -> Vec<Point> {
    let Some(newest) = batches.iter().map(|batch| batch.fence).max() else { return Vec::new() };
    batches.iter().filter(|batch| batch.fence == newest).flat_map(|batch| batch.points.iter().copied()).collect()
}
