//! Turns the text of a sweep file into a planned sweep, with the data sets that workers announce and the numeric class
//! of their devices.

use std::collections::BTreeMap;

use pretext_shared::dataset::{DatasetFacts, Source, SweepFacts};
use pretext_shared::device::NumericClass;
use pretext_shared::plan::{self, Plan, PlanErrors};
use pretext_shared::spec::{self, SpecErrors, Sweep};
use pretext_shared::stage::Extent;
use pretext_shared::sweep::{Build, Provenance};

use crate::{Engine, StageRecord, Submission, SweepRecord};

/// Data sets that workers announce or that were pushed, by `KIND:PATH`; each version once.
pub type Announced = BTreeMap<String, Vec<Result<DatasetFacts, String>>>;

/// The reason why a sweep cannot be planned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SubmissionError {
    /// The sweep file has problems.
    #[error("{}", .0.render("sweep.yaml", ""))]
    Spec(SpecErrors),
    /// The sweep does not fit the data.
    #[error("{0}")]
    Plan(PlanErrors),
    /// No worker has the data.
    #[error(
        "no connected worker announces the data set {key}; announced are: {announced}. Start a worker whose --data-root has it{}",
        if key.contains('?') && !key.contains("groups=") {
            format!(", with --dataset '{key}', which names the folders of its parts")
        } else if key.contains('?') {
            format!(", with --dataset '{key}', which reads groups from names, or push it with `coordinator data push --groups`")
        } else {
            ", or push it with `coordinator data push`".to_owned()
        }
    )]
    NotAnnounced {
        /// The key of the data set in the sweep.
        key: String,
        /// The announced keys.
        announced: String,
    },
    /// Workers announce different data.
    #[error(
        "there are different versions of {key} (fingerprints {versions}), announced by workers or pushed: keep only one of them"
    )]
    Disagreement {
        /// The key of the data set in the sweep.
        key: String,
        /// Short fingerprints.
        versions: String,
    },
    /// The data cannot be used.
    #[error("the data set {key} cannot be used: {problem}")]
    Unusable {
        /// The key of the data set in the sweep.
        key: String,
        /// The cause.
        problem: String,
    },
    /// The numeric class is unknown.
    #[error(
        "no worker is connected, so the class of devices (cpu or gpu) is unknown: start a worker, or write `numeric: cpu` or `numeric: gpu` into the sweep file"
    )]
    NoDevice,
}

/// Returns the facts of the data that `source` names.
pub fn facts(source: &Source, announced: &Announced) -> Result<DatasetFacts, SubmissionError> {
    if let Source::Procedural(procedural) = source {
        return Ok(procedural.facts());
    }
    let key = source.key();
    let versions = announced.get(&key).map(Vec::as_slice).unwrap_or_default();
    let usable: Vec<&DatasetFacts> = versions.iter().filter_map(|version| version.as_ref().ok()).collect();
    match (usable.as_slice(), versions) {
        ([one], _) => Ok((*one).clone()),
        ([], [Err(problem), ..]) => Err(SubmissionError::Unusable { key, problem: problem.clone() }),
        ([], _) => {
            let names: Vec<&str> = announced.keys().map(String::as_str).collect();
            let announced = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Err(SubmissionError::NotAnnounced { key, announced })
        }
        (many, _) => {
            let versions = many.iter().map(|facts| facts.fingerprint.short()).collect::<Vec<_>>().join(", ");
            Err(SubmissionError::Disagreement { key, versions })
        }
    }
}

/// A planned sweep.
pub struct Planned {
    /// The sweep.
    pub sweep: Sweep,
    /// Its data.
    pub facts: DatasetFacts,
    /// The data for pretext training, if they differ.
    pub pretext_facts: Option<DatasetFacts>,
    /// Its plan.
    pub plan: Plan,
}

/// Plans the sweep in `text` for the announced data and one numeric class.
pub fn plan(
    text: &str,
    extent: Extent,
    announced: &Announced,
    class: NumericClass,
) -> Result<Planned, SubmissionError> {
    let sweep = spec::parse(text).map_err(SubmissionError::Spec)?;
    let pretext_facts = match &sweep.pretext_dataset {
        Some(other) => Some(facts(&other.source, announced)?),
        None => None,
    };
    let facts = facts(&sweep.source, announced)?;
    let class = sweep.numeric.unwrap_or(class);
    let plan = plan::expand(&sweep, SweepFacts { dataset: &facts, pretext: pretext_facts.as_ref() }, class, extent)
        .map_err(SubmissionError::Plan)?;
    Ok(Planned { sweep, facts, pretext_facts, plan })
}

/// Plans the sweep in `text` with what the engine knows. The class is the file's, or that of the same sweep submitted
/// before, or `gpu` if a connected worker has one, else `cpu`.
pub fn plan_here(text: &str, extent: Extent, engine: &Engine, now: u64) -> Result<Planned, SubmissionError> {
    let announced = engine.announced(now);
    let at = |class| plan(text, extent, &announced, class);
    let cpu = at(NumericClass::Cpu)?;
    if cpu.sweep.numeric.is_some() || engine.has_sweep(&cpu.plan.sweep) {
        return Ok(cpu);
    }
    let gpu = at(NumericClass::Gpu)?;
    if engine.has_sweep(&gpu.plan.sweep) {
        return Ok(gpu);
    }
    let mut classes = engine.devices(now).map(|device| device.class).peekable();
    if classes.peek().is_none() {
        return Err(SubmissionError::NoDevice);
    }
    Ok(if classes.any(|class| class == NumericClass::Gpu) { gpu } else { cpu })
}

impl Planned {
    /// Returns what the engine stores.
    pub fn submission(self, text: String, submitted_ms: u64, build: Option<Build>) -> Submission {
        let Planned { sweep, facts, pretext_facts, plan } = self;
        let stages = plan
            .stages
            .into_iter()
            .map(|planned| {
                let weights = planned.stage.spec.weights().and(sweep.weights.as_ref());
                let record = StageRecord {
                    source: sweep.source_of(planned.stage.spec.kind()).clone(),
                    weights: weights.map(|weights| weights.path.clone()),
                    stage: planned.stage,
                    cost: planned.cost,
                    checkpoint: sweep.checkpoint,
                };
                (planned.id, record)
            })
            .collect();
        let provenance = Provenance {
            spec: text,
            dataset: facts,
            pretext_dataset: pretext_facts,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            class: plan.class,
            extent: plan.extent,
            build,
        };
        let sweep = SweepRecord {
            id: plan.sweep,
            name: sweep.name,
            submitted_ms,
            provenance,
            cells: plan.cells,
            max_parallel: sweep.max_parallel,
            priority: sweep.priority,
        };
        Submission { sweep, stages }
    }
}
