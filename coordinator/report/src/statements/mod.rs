//! Typed statements about a sweep: each is a variant with its values, worded once for all outputs.

mod condition;
mod finding;
mod input;
mod note;
mod warning;
mod wording;

use pretext_shared::sweep::SweepView;

pub use condition::Condition;
pub use finding::{Baseline, Finding, Gain};
pub use input::Input;
pub use note::Note;
pub use warning::Warning;
pub use wording::Wording;

use super::numbers::{PolicyTable, Tables};

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement<'a> {
    /// A fact that a reader must know before the first number.
    Warning(Warning<'a>),
    /// A result of a table.
    Finding(Finding<'a>),
    /// A circumstance of a table.
    Condition(Condition<'a>),
    /// Something that stages read.
    Input(Input<'a>),
    /// A note on method.
    Note(Note),
}

impl Statement<'_> {
    /// Returns the text of the statement.
    pub fn wording(&self) -> Wording {
        match self {
            Statement::Warning(warning) => warning.wording(),
            Statement::Finding(finding) => finding.wording(),
            Statement::Condition(condition) => condition.wording(),
            Statement::Input(input) => input.wording(),
            Statement::Note(note) => note.wording(),
        }
    }
}

/// Returns the warnings about a sweep.
pub fn warnings<'a>(view: &SweepView, tables: &'a Tables) -> Vec<Statement<'a>> {
    warning::warnings(view, &tables.shortcuts).into_iter().map(Statement::Warning).collect()
}

/// Returns the verdict on the differences between the methods of a table, if there are any.
pub fn verdict(table: &PolicyTable) -> Option<Statement<'_>> {
    finding::verdict(table).map(Statement::Finding)
}

/// Returns the other statements about one table: findings, then their conditions.
pub fn of_table<'a>(table: &'a PolicyTable, tables: &'a Tables) -> Vec<Statement<'a>> {
    let findings = finding::findings(table, &tables.inputs).into_iter().map(Statement::Finding);
    findings.chain(condition::conditions(table).into_iter().map(Statement::Condition)).collect()
}

/// Returns the statements that hold for all tables: inputs, then notes on method.
pub fn of_all_tables(tables: &Tables) -> Vec<Statement<'_>> {
    let inputs = input::inputs(&tables.inputs, &tables.test_set).into_iter().map(Statement::Input);
    inputs.chain(note::notes(&tables.policies).into_iter().map(Statement::Note)).collect()
}

#[cfg(test)]
mod tests {
    use pretext_shared::stage::{DownstreamHead, Method, StageSpec};
    use pretext_shared::sweep::SweepView;

    use super::*;
    use crate::fixture;
    use crate::numbers::downstream;

    #[test]
    fn every_way_of_downstream_training_is_said_once_with_its_methods() {
        let mut view = fixture::with_floor();
        let said = |view: &SweepView, method: Option<Method>| {
            let cells = view.cells.iter().filter(|cell| method.is_none_or(|method| cell.key.method == method));
            let ways = downstream::ways(view, cells);
            let words = |way| match ways.len() {
                1 => Condition::Downstream(way).wording().to_string(),
                _ => Condition::DownstreamOf(way).wording().to_string(),
            };
            ways.iter().map(words).collect::<Vec<_>>()
        };
        let words = said(&view, None);
        let [fine_tuned, frozen] = &words[..] else { panic!("{words:?}") };
        assert!(
            fine_tuned.starts_with("Downstream: The encoder and a linear head are trained (fine-tune): Supervised")
        );
        assert_eq!(frozen, "Downstream: A linear head on the frozen encoder: Random init.");
        // A probe of the first block, by a head of two layers.
        for cell in view.cells.iter().filter(|cell| cell.key.method == Method::RandomInit) {
            let stage = view.stages.get_mut(&cell.downstream).expect("the fixture has it");
            let StageSpec::Downstream(spec) = &mut stage.stage.spec else { panic!("a downstream stage") };
            spec.head = DownstreamHead::Mlp;
            spec.encoder = spec.encoder.until(1).expect("it has blocks");
        }
        let probed = "Downstream: A head of two layers on the frozen encoder, after its block 1 of ";
        assert!(said(&view, None)[1].starts_with(probed), "{:?}", said(&view, None));
        let alone = said(&view, Some(Method::Supervised));
        assert_eq!(alone, ["Downstream: The encoder and a linear head are trained (fine-tune)."]);
    }
}
