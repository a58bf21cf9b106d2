//! Turns the text of a sweep file into a planned sweep, with the data sets that workers announce and the numeric class
//! of their devices.

use std::collections::{BTreeMap, BTreeSet};

use pretext_shared::dataset::{DatasetFacts, Source, SweepFacts};
use pretext_shared::device::NumericClass;
use pretext_shared::ids::{Fingerprint, SweepId};
use pretext_shared::plan::{self, Plan};
use pretext_shared::spec::{self, Issue, Place, SpecErrors, Sweep, place};
use pretext_shared::stage::Extent;
use pretext_shared::sweep::{Build, Provenance};

use crate::{Engine, Millis, StageRecord, Submission, SweepRecord};

/// Data sets that workers announce or that were pushed, by `KIND:PATH`; each version once.
pub type Announced = BTreeMap<String, Vec<Result<DatasetFacts, String>>>;

/// The reason why a sweep cannot be planned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SubmissionError {
    /// The sweep file has problems.
    #[error("{}", .0.render("sweep.yaml", "").trim_end())]
    Spec(SpecErrors),
    /// The sweep does not fit the data. The problems have their lines in the sweep file.
    #[error("{}", .0.render("sweep.yaml", "").trim_end())]
    Plan(SpecErrors),
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

impl SubmissionError {
    /// Returns the problems that have a line in the sweep file, if it is they.
    pub fn problems(&self) -> Option<&SpecErrors> {
        match self {
            SubmissionError::Spec(errors) | SubmissionError::Plan(errors) => Some(errors),
            _ => None,
        }
    }

    /// Returns the same problem with the line of `key` in the sweep file.
    fn at(self, text: &str, key: &str) -> Self {
        let Place { line, column, path } = place(text, key);
        let issue = Issue { line, column, path, message: self.to_string(), help: None };
        SubmissionError::Plan(SpecErrors { issues: vec![issue], omitted: 0 })
    }
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
    let resolved = Resolved::read(text, announced)?;
    let class = resolved.sweep.numeric.unwrap_or(class);
    resolved.expand(text, class, extent)
}

/// What a plan depends on besides the sweep file. The engine gives it, so that planning can happen elsewhere.
#[derive(Debug, Clone)]
pub struct Basis {
    announced: Announced,
    /// Classes of the devices of connected workers.
    classes: BTreeSet<NumericClass>,
    /// The submitted sweeps.
    sweeps: BTreeSet<SweepId>,
}

impl Basis {
    /// Returns what the engine knows now.
    pub fn of(engine: &Engine, now: Millis) -> Self {
        Self {
            announced: engine.announced(now),
            classes: engine.devices(now).map(|device| device.class).collect(),
            sweeps: engine.sweep_ids().cloned().collect(),
        }
    }

    /// Plans the sweep in `text`. The class is the file's, or that of the same sweep submitted before, or `gpu` if a
    /// connected worker has one, else `cpu`.
    pub fn plan(&self, text: &str, extent: Extent) -> Result<Planned, SubmissionError> {
        let resolved = Resolved::read(text, &self.announced)?;
        if let Some(class) = resolved.sweep.numeric {
            return resolved.expand(text, class, extent);
        }
        // Planning takes seconds for a large sweep, and most sweeps have a new name.
        if self.sweeps.iter().any(|sweep| sweep.is_named(&resolved.sweep.name)) {
            for class in [NumericClass::Cpu, NumericClass::Gpu] {
                let planned = resolved.clone().expand(text, class, extent)?;
                if self.sweeps.contains(&planned.plan.sweep) {
                    return Ok(planned);
                }
            }
        }
        let class = if self.classes.contains(&NumericClass::Gpu) { NumericClass::Gpu } else { NumericClass::Cpu };
        let planned = resolved.expand(text, class, extent)?;
        if self.classes.is_empty() { Err(SubmissionError::NoDevice) } else { Ok(planned) }
    }
}

/// The data that a plan was made for.
#[derive(Debug, Clone)]
pub struct Assumed(Vec<(Source, Fingerprint)>);

impl Assumed {
    /// Returns whether the plan is still right: nobody announces other data in place of these. Data that nobody
    /// announces any more are no reason to plan again, because a worker may leave at any time.
    pub fn hold(&self, engine: &Engine, now: Millis) -> bool {
        let announced = engine.announced(now);
        self.0.iter().all(|(source, fingerprint)| match facts(source, &announced) {
            Ok(facts) => facts.fingerprint == *fingerprint,
            Err(error) => matches!(error, SubmissionError::NotAnnounced { .. }),
        })
    }
}

/// A sweep with the facts of its data.
#[derive(Debug, Clone)]
struct Resolved {
    sweep: Sweep,
    facts: DatasetFacts,
    pretext_facts: Option<DatasetFacts>,
}

impl Resolved {
    fn read(text: &str, announced: &Announced) -> Result<Self, SubmissionError> {
        let sweep = spec::parse(text).map_err(SubmissionError::Spec)?;
        let pretext_facts = match &sweep.pretext_dataset {
            Some(other) => {
                Some(facts(&other.source, announced).map_err(|error| error.at(text, "pretext.dataset.path"))?)
            }
            None => None,
        };
        let facts = facts(&sweep.source, announced).map_err(|error| error.at(text, "dataset.path"))?;
        Ok(Self { sweep, facts, pretext_facts })
    }

    /// `text` is the sweep file, for the lines in messages.
    fn expand(self, text: &str, class: NumericClass, extent: Extent) -> Result<Planned, SubmissionError> {
        let Self { sweep, facts, pretext_facts } = self;
        let data = SweepFacts { dataset: &facts, pretext: pretext_facts.as_ref() };
        let plan = plan::expand(&sweep, data, class, extent)
            .map_err(|errors| SubmissionError::Plan(errors.placed(&sweep, text)))?;
        Ok(Planned { sweep, facts, pretext_facts, plan })
    }
}

impl Planned {
    /// Returns the data that the plan was made for.
    pub fn assumed(&self) -> Assumed {
        let own = (self.sweep.source.clone(), self.facts.fingerprint);
        let other = self.sweep.pretext_dataset.as_ref().zip(self.pretext_facts.as_ref());
        let other = other.map(|(other, facts)| (other.source.clone(), facts.fingerprint));
        Assumed(std::iter::once(own).chain(other).collect())
    }

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
