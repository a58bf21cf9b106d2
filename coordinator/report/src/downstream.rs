//! What is trained on the labels, and on which part of the encoder: a table may have several of them.

use std::collections::BTreeSet;

use pretext_shared::stage::{DownstreamHead, DownstreamMode, EncoderSpec, Method, StageSpec};
use pretext_shared::sweep::{Cell, SweepView};

/// One way of downstream training in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downstream {
    /// What of the network is trained.
    pub mode: DownstreamMode,
    /// The shape of the head.
    pub head: DownstreamHead,
    /// The block that the head stands on, and how many there are, where it is not the last.
    pub block: Option<(u32, u32)>,
    /// The methods that are trained so.
    pub methods: BTreeSet<Method>,
}

/// The ways of downstream training of `cells`, in their order.
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

/// The blocks of an encoder that can be cut after one.
fn blocks(encoder: &EncoderSpec) -> Option<u32> {
    match encoder {
        EncoderSpec::SmallCnn { blocks, .. } | EncoderSpec::Nin { blocks } => Some(*blocks),
        EncoderSpec::Resnet18 { .. } | EncoderSpec::Resnet50 { .. } => None,
    }
}

/// A sentence for each of `ways`. Methods are named where they differ.
pub fn sentences(ways: &[Downstream]) -> Vec<String> {
    let sentence = |way: &Downstream| {
        let head = match way.head {
            DownstreamHead::Linear => "a linear head",
            DownstreamHead::Mlp => "a head of two layers",
        };
        let block = way.block.map_or_else(String::new, |(block, of)| format!(", after its block {block} of {of}"));
        let what = match way.mode {
            DownstreamMode::FineTune => format!("the encoder{block} and {head} are trained (fine-tune)"),
            DownstreamMode::Frozen => format!("{head} on the frozen encoder{block}"),
        };
        let methods: Vec<&str> = way.methods.iter().map(|method| method.title()).collect();
        let methods = if ways.len() > 1 { format!(": {}", methods.join(", ")) } else { String::new() };
        format!("Downstream: {what}{methods}.")
    };
    ways.iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn every_way_is_said_once_with_its_methods() {
        let mut view = fixture::with_floor();
        let said = |view: &SweepView| sentences(&ways(view, view.cells.iter()));
        let words = said(&view);
        let [fine_tuned, frozen] = &words[..] else { panic!("{words:?}") };
        assert!(
            fine_tuned.starts_with("Downstream: the encoder and a linear head are trained (fine-tune): Supervised")
        );
        assert_eq!(frozen, "Downstream: a linear head on the frozen encoder: Random init.");
        // A probe of the first block, by a head of two layers.
        for cell in view.cells.iter().filter(|cell| cell.key.method == Method::RandomInit) {
            let stage = view.stages.get_mut(&cell.downstream).expect("the fixture has it");
            let StageSpec::Downstream(spec) = &mut stage.stage.spec else { panic!("a downstream stage") };
            spec.head = DownstreamHead::Mlp;
            spec.encoder = spec.encoder.until(1).expect("it has blocks");
        }
        let probed = "Downstream: a head of two layers on the frozen encoder, after its block 1 of ";
        assert!(said(&view)[1].starts_with(probed), "{:?}", said(&view));
        let alone = sentences(&ways(&view, view.cells.iter().filter(|cell| cell.key.method == Method::Supervised)));
        assert_eq!(alone, ["Downstream: the encoder and a linear head are trained (fine-tune)."]);
    }
}
