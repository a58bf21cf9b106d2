//! Reads the whole sweep file: its keys, and the reader of each key.

use super::axes::{self, Axes};
use super::dataset;
use super::encoder;
use super::error::SpecErrors;
use super::field::{Field, Issues, Section};
use super::node;
use super::recipes;
use super::remedy;
use super::sweep::{Recipe, Sweep};
use super::weights;
use crate::device::NumericClass;
use crate::ids::{MAX_NAME, is_valid_name};
use crate::methods::keys::Defaults;
use crate::quantity;
use crate::stage::EncoderSpec;
use crate::trainer::CheckpointPolicy;

const KEYS: [&str; 16] = [
    "name",
    "dataset",
    "encoder",
    "methods",
    "fractions",
    "lr",
    "seeds",
    "split_seeds",
    "pretext",
    "downstream",
    "overrides",
    "exclude",
    "max_parallel",
    "priority",
    "checkpoint",
    "numeric",
];

pub(super) fn read(text: &str) -> Result<Sweep, SpecErrors> {
    let root = node::read(text)?;
    let issues = Issues::default();
    match validate(&Field::root(&root, &issues)) {
        Some(sweep) if issues.is_empty() => Ok(sweep),
        _ => Err(remedy::explain(issues.into_errors(), text)),
    }
}

fn validate(root: &Field<'_>) -> Option<Sweep> {
    if matches!(root.node.value, node::Value::Nothing) {
        return root.refuse_with(
            "the file is empty, or has only comments",
            "`coordinator init FOLDER` writes a sweep for a folder of pictures",
        );
    }
    let file = root.section()?;
    file.only(&KEYS);

    let name = file.need("name", "give the sweep a name", |field| chosen_name(&field));
    let dataset =
        file.need("dataset", "`dataset: {kind: procedural, …}` draws its own", |field| dataset::read(&field));
    let encoder = file.need("encoder", "`encoder: {kind: small-cnn, width: 16, blocks: 3}` suits a CPU", |field| {
        encoder::read(&field, dataset.as_ref().map(|dataset| dataset.image_size))
    });
    let weights = file.get("encoder").map_or(Some(None), |field| weights::read(&field));
    let pretext_dataset =
        file.get("pretext").map_or(Some(None), |field| dataset::read_pretext(&field, dataset.as_ref()));
    let axes = axes::read(&file);
    let defaults = dataset.as_ref().map_or_else(Defaults::unknown, |dataset| dataset.defaults());
    let recipes = recipes::read(&file, &axes, &defaults, encoder.as_ref());
    let exclude = axes::exclusions(&file, &axes);
    let max_parallel = file.optional("max_parallel", |field| field.small(1..=65_536));
    let priority = file.or("priority", 0, |field| field.signed(-10..=10));
    let checkpoint = file.or("checkpoint", CheckpointPolicy::default(), |field| checkpoint(&field.section()?));
    let classes = [("cpu", NumericClass::Cpu), ("gpu", NumericClass::Gpu)];
    let numeric = file.optional("numeric", |field| field.choice("a numeric class", &classes));

    let Axes { methods, fractions, policies, seeds } = axes;
    let dataset = dataset?;
    let sweep = Sweep {
        name: name?,
        source: dataset.source,
        image_size: dataset.image_size,
        normalize: dataset.normalize,
        fit: dataset.fit,
        pretext_dataset: pretext_dataset?,
        encoder: encoder?,
        weights: weights?,
        methods,
        fractions,
        policies: policies.into_iter().map(|policy| policy.name).collect(),
        seeds,
        recipes,
        exclude,
        max_parallel: max_parallel?,
        priority: priority?,
        checkpoint: checkpoint?,
        numeric: numeric?,
    };
    if sweep.weights.is_some()
        && let Some(recipe) = sweep.recipes.iter().find(|recipe| loads_a_part(recipe, &sweep.encoder))
        && let Some(field) = file.get("downstream")
    {
        // A weights file is for the whole encoder, and each of its tensors must be used.
        return field.refuse_with(
            format!(
                "{} cells have no pretext stage: they would load a weights file into only the first blocks",
                recipe.method
            ),
            "remove `block` or `encoder.weights`, or give the method an override without `block`",
        );
    }
    if let Some(field) = file.get("exclude")
        && sweep.cells().next().is_none()
    {
        return field.refuse("every cell is excluded: nothing is left to run");
    }
    Some(sweep)
}

/// Returns whether a recipe would load the weights of `encoder` into a part of it.
fn loads_a_part(recipe: &Recipe, encoder: &EncoderSpec) -> bool {
    recipe.pretext.is_none() && recipe.method.starts_from_weights() && recipe.downstream.encoder != *encoder
}

/// Reads a name that the user chooses; it becomes a folder's name.
pub(super) fn chosen_name(field: &Field<'_>) -> Option<String> {
    let text = field.text("a name")?;
    if is_valid_name(text) { Some(text.to_owned()) } else { field.refuse(NAME_RULE) }
}

/// The rule of [`is_valid_name`], for messages.
pub(super) const NAME_RULE: &str =
    "a name has 1 to 64 of the characters A-Z a-z 0-9 . _ - and does not begin with a dot";
const _: () = assert!(MAX_NAME == 64);

fn checkpoint(section: &Section<'_>) -> Option<CheckpointPolicy> {
    section.only(&["every", "keep"]);
    let default = CheckpointPolicy::default();
    let every_seconds = section.or("every", default.every_seconds, |field| seconds(&field));
    // At least two: a damaged checkpoint needs a predecessor.
    let keep = section.or("keep", default.keep, |field| field.small(2..=100));
    Some(CheckpointPolicy { every_seconds: every_seconds?, keep: keep? })
}

/// Reads a duration: `30s`, `500ms`, `5m`, `1h`, or a number of seconds.
fn seconds(field: &Field<'_>) -> Option<f64> {
    const EXPECTED: &str = "a duration from 100ms to 24h, such as 30s or 5m";
    let allowed = |seconds: &f64| (0.1..=86_400.0).contains(seconds);
    let node::Value::Text(text) = &field.node.value else {
        return field.number(EXPECTED, |seconds| allowed(&seconds));
    };
    let value = quantity::time(text).ok().map(|time| time.as_secs_f64());
    value.filter(allowed).or_else(|| field.refuse(format!("expected {EXPECTED}")))
}
