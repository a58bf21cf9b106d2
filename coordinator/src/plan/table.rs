//! Formats a plan as text.

use std::collections::{BTreeMap, BTreeSet};

use pretext_shared::ids::StageId;
use pretext_shared::plan::{Plan, Total};
use pretext_shared::stage::{Extent, StageKind};
use pretext_shared::text::{agreeing, counted, grouped};

use crate::columns::{Align, Columns};

/// Returns `data`, a table with each stage once, and what sharing saves.
pub(super) fn render(plan: &Plan, data: &str, cached: Option<&BTreeSet<StageId>>) -> String {
    let smoke = if plan.extent == Extent::Smoke { " · rehearsal of two steps a stage" } else { "" };
    let (cells, stages) = (counted(plan.cells.len(), "cell"), counted(plan.stages.len(), "stage"));
    let mut out = format!("{} · {cells}, {stages} · class {}{smoke}\n\n", plan.sweep, plan.class);
    if !data.is_empty() {
        out.push_str(&format!("{data}\n"));
    }
    out.push_str(&inputs(plan));
    out.push_str(&stage_rows(plan, cached));
    out.push_str(&sharing(plan));
    match cached {
        Some(cached) => {
            let left = plan.stages.iter().filter(|stage| !cached.contains(&stage.id));
            let (steps, images) = left.fold((0u64, 0u64), |(steps, images), stage| {
                (steps.saturating_add(stage.cost.steps), images.saturating_add(stage.cost.images_seen))
            });
            let (stages, have) = (counted(cached.len(), "stage"), agreeing(cached.len(), "has", "have"));
            let (steps, images) = (counted(steps, "step"), counted(images, "image"));
            out.push_str(&format!("cached: {stages} {have} a result; {steps} and {images} seen remain\n"));
        }
        None => out.push_str("cached: unknown, no coordinator was asked (name one with --coordinator URL)\n"),
    }
    out
}

/// Returns what stages read besides the images of the sweep's data set.
fn inputs(plan: &Plan) -> String {
    let data = |kind: StageKind| {
        let of_kind = plan.stages.iter().filter(move |stage| stage.stage.spec.kind() == kind);
        of_kind.map(|stage| stage.stage.spec.data())
    };
    let own = data(StageKind::Downstream).next();
    let other = data(StageKind::Pretext).find(|data| own.is_some_and(|own| own.fingerprint != data.fingerprint));
    let mut out = String::new();
    if let Some(other) = other {
        out.push_str(&format!(
            "pretext data: a separate data set, fingerprint {}, all of its training images at {} pixels\n",
            other.fingerprint.short(),
            other.image_size
        ));
    }
    let starts = plan.stages.iter().filter_map(|stage| stage.stage.spec.weights()).collect::<Vec<_>>();
    if let Some(sha256) = starts.first() {
        let (stages, start) = (counted(starts.len(), "stage"), agreeing(starts.len(), "starts", "start"));
        out.push_str(&format!("weights: {stages} {start} from the file with SHA-256 {sha256}\n"));
    }
    if out.is_empty() { out } else { out + "\n" }
}

fn stage_rows(plan: &Plan, cached: Option<&BTreeSet<StageId>>) -> String {
    let mut first = BTreeMap::new();
    for cell in &plan.cells {
        for id in cell.stages() {
            first.entry(id).or_insert_with(|| cell.key.to_string());
        }
    }
    let words = |heading| (heading, Align::Left);
    let numbers = ["train", "val", "epochs", "steps", "images seen"].map(|heading| (heading, Align::Right));
    let mut columns =
        Columns::new(&[&["kind", "stage", "needed by"].map(words)[..], &numbers, &[words("cached")]].concat());
    for stage in &plan.stages {
        let cell = first.get(&stage.id).cloned().unwrap_or_default();
        let needed = if stage.cells > 1 { format!("{cell} and {} more", stage.cells - 1) } else { cell };
        let done = match cached {
            None => "?",
            Some(cached) if cached.contains(&stage.id) => "yes",
            Some(_) => "no",
        };
        let cost = stage.cost;
        let counts = [cost.train_images, cost.validation_images, cost.epochs.into(), cost.steps, cost.images_seen];
        let words = [stage.stage.spec.kind().as_str().to_owned(), stage.id.short(), needed];
        columns.row(words.into_iter().chain(counts.map(grouped)).chain([done.to_owned()]));
    }
    columns.render()
}

fn sharing(plan: &Plan) -> String {
    let total = |total: &Total| {
        let (stages, steps) = (counted(total.stages, "stage"), counted(total.steps, "step"));
        format!("{stages}, {steps}, {} seen", counted(total.images_seen, "image"))
    };
    let (before, after) = (&plan.sharing.before, &plan.sharing.after);
    let saved = plan.sharing.steps_saved();
    let (saved, are) = (counted(saved, "step"), agreeing(saved, "is", "are"));
    format!(
        "\ntotal: {}\nshared: without sharing, the cells would need {}; {saved} {are} saved\n",
        total(after),
        total(before)
    )
}

/// Returns a table with the chain of stages of each cell.
pub(super) fn chains(plan: &Plan) -> String {
    let mut columns = Columns::new(&["cell", "pretext", "downstream", "test"].map(|heading| (heading, Align::Left)));
    for cell in &plan.cells {
        let pretext = cell.pretext.map_or_else(|| "none".to_owned(), |id| id.short());
        columns.row([cell.key.to_string(), pretext, cell.downstream.short(), cell.test.short()]);
    }
    format!("\n{}", columns.render())
}

#[cfg(test)]
mod tests {
    use pretext_shared::device::NumericClass;

    use super::*;
    use pretext_engine::submission::{self, Announced};

    const SWEEP: &str = "\
name: study
dataset: {kind: procedural, train_per_class: 400, test_per_class: 200}
encoder: small-cnn
methods: [supervised, rotation]
fractions: [25%]
lr:
  scheduler: {kind: cosine, base: {pretext: 3e-4, downstream: 1e-3}, warmup_epochs: 1, applies: [downstream]}
  fixed: {kind: constant, base: 5e-6, applies: [downstream]}
seeds: [0]
pretext: {epochs: 10, lr: 1e-3}
downstream: {epochs: 20}
";

    const SHOWN: &str = "\
<sweep> · 4 cells, 9 stages · class cpu

kind        stage         needed by                             train  val  epochs  steps  images seen  cached
downstream  <stage    0>  supervised/0.25/scheduler/0             240   60      20     80        4,800  ?
test        <stage    1>  supervised/0.25/scheduler/0             600    0       0      0            0  ?
pretext     <stage    2>  rotation/0.25/scheduler/0 and 1 more    240   60      10     40        9,600  ?
downstream  <stage    3>  rotation/0.25/scheduler/0               240   60      20     80        4,800  ?
test        <stage    4>  rotation/0.25/scheduler/0               600    0       0      0            0  ?
downstream  <stage    5>  supervised/0.25/fixed/0                 240   60      20     80        4,800  ?
test        <stage    6>  supervised/0.25/fixed/0                 600    0       0      0            0  ?
downstream  <stage    7>  rotation/0.25/fixed/0                   240   60      20     80        4,800  ?
test        <stage    8>  rotation/0.25/fixed/0                   600    0       0      0            0  ?

total: 9 stages, 360 steps, 28,800 images seen
shared: without sharing, the cells would need 10 stages, 400 steps, 38,400 images seen; 40 steps are saved
cached: unknown, no coordinator was asked (name one with --coordinator URL)

cell                         pretext       downstream    test
supervised/0.25/scheduler/0  none          <stage    0>  <stage    1>
rotation/0.25/scheduler/0    <stage    2>  <stage    3>  <stage    4>
supervised/0.25/fixed/0      none          <stage    5>  <stage    6>
rotation/0.25/fixed/0        <stage    2>  <stage    7>  <stage    8>
";

    fn plan() -> Plan {
        submission::plan(SWEEP, Extent::Whole, &Announced::new(), NumericClass::Cpu).expect("a good sweep").plan
    }

    /// Hashes change whenever an algorithm does; what is shown around them does not.
    fn without_hashes(text: &str, plan: &Plan) -> String {
        let stages = plan.stages.iter().enumerate();
        let text = stages
            .fold(text.to_owned(), |text, (i, stage)| text.replace(&stage.id.short(), &format!("<stage {i:>4}>")));
        text.replace(plan.sweep.as_str(), "<sweep>")
    }

    #[test]
    fn the_plan_shows_what_is_shared_and_what_it_costs() {
        let plan = plan();
        let shown = render(&plan, "", None) + &chains(&plan);
        assert_eq!(without_hashes(&shown, &plan), SHOWN);
    }

    #[test]
    fn what_is_cached_is_not_left_to_do() {
        let plan = plan();
        let all: BTreeSet<StageId> = plan.stages.iter().map(|stage| stage.id).collect();
        assert!(render(&plan, "", Some(&all)).ends_with("0 steps and 0 images seen remain\n"));
        let none = render(&plan, "", Some(&BTreeSet::new()));
        let total = format!("{} steps and", grouped(plan.sharing.after.steps));
        assert!(none.contains("cached: 0 stages") && none.contains(&total), "{none}");
    }
}
