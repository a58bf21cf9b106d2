//! What the time of a stage depends on besides the number of images that it sees.

use super::{Extent, Stage, StageKind, StageSpec};
use crate::device::NumericClass;
use crate::ids::ContentHash;

/// The shape of a stage. Stages of one shape take about the same time for an image on one device: they have the same
/// network, image size, task, batch and optimizer. Seeds, data, splits and rates do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape(ContentHash);

impl Shape {
    /// Returns the shape of a stage; `None` for a rehearsal, whose time says nothing about a whole stage.
    pub fn of(stage: &Stage) -> Option<Self> {
        match stage.extent {
            Extent::Whole => Some(Self::of_spec(stage.class, &stage.spec)),
            Extent::Smoke => None,
        }
    }

    fn of_spec(class: NumericClass, spec: &StageSpec) -> Self {
        let (kind, size): (StageKind, u32) = (spec.kind(), spec.data().image_size);
        let canonical = match spec {
            StageSpec::Pretext(pretext) => {
                let (batch, optimizer) = (pretext.train.batch, &pretext.train.optimizer);
                serde_json::to_vec(&(
                    class,
                    kind,
                    size,
                    &pretext.encoder,
                    &pretext.task,
                    &pretext.knn,
                    batch,
                    optimizer,
                ))
            }
            StageSpec::Downstream(downstream) => {
                let (batch, optimizer) = (downstream.train.batch, &downstream.train.optimizer);
                let (mode, head, augment) = (downstream.mode, downstream.head, &downstream.augment);
                serde_json::to_vec(&(class, kind, size, &downstream.encoder, mode, head, augment, batch, optimizer))
            }
            StageSpec::Test(test) => serde_json::to_vec(&(class, kind, size, &test.encoder)),
        };
        Self(ContentHash::of(
            &canonical.expect("a stage has only string keys and finite numbers, which JSON can write"),
        ))
    }
}
