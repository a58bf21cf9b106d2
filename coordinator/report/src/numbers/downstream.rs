//! The ways of downstream training in a table: the trained part of the network, the head, and the block below it.

use std::collections::BTreeSet;

use pretext_shared::stage::{DownstreamHead, DownstreamMode, EncoderSpec, Method, StageSpec};
use pretext_shared::sweep::{Cell, SweepView};

/// One way of downstream training in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downstream {
    /// The part of the network that is trained.
    pub mode: DownstreamMode,
    /// The shape of the head.
    pub head: DownstreamHead,
    /// The block below the head and the number of blocks; `None` if it is the last.
    pub block: Option<(u32, u32)>,
    /// The methods that are trained so.
    pub methods: BTreeSet<Method>,
}

/// Returns the ways of downstream training of `cells`, in their order.
pub fn ways<'a>(view: &SweepView, cells: impl Iterator<Item = &'a Cell>) -> Vec<Downstream> {
    let encoders = view.stages.values().filter_map(|stage| match &stage.stage.spec {
        StageSpec::Pretext(spec) => Some(&spec.encoder),
        StageSpec::Downstream(spec) => Some(&spec.encoder),
        StageSpec::Test(_) => None,
    });
    let whole = encoders.filter_map(blocks).max();
    let mut ways: Vec<Downstream> = Vec::new();
    for cell in cells {
        let stage = view.stages.get(&cell.downstream).map(|stage| &stage.stage.spec);
        let Some(StageSpec::Downstream(spec)) = stage else { continue };
        let block = blocks(&spec.encoder).zip(whole).filter(|(block, whole)| block < whole);
        let method = cell.key.method;
        match ways.iter_mut().find(|way| (way.mode, way.head, way.block) == (spec.mode, spec.head, block)) {
            Some(way) => drop(way.methods.insert(method)),
            None => ways.push(Downstream { mode: spec.mode, head: spec.head, block, methods: [method].into() }),
        }
    }
    ways
}

/// Returns the number of blocks of an encoder that can be cut after each.
fn blocks(encoder: &EncoderSpec) -> Option<u32> {
    match encoder {
        EncoderSpec::SmallCnn { blocks, .. } | EncoderSpec::Nin { blocks } => Some(*blocks),
        EncoderSpec::Resnet18 { .. } | EncoderSpec::Resnet50 { .. } => None,
    }
}
