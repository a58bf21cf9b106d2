//! The axes whose product gives the sweep's cells, and the cells that are excluded.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::field::{Field, Section};
use super::node::Value;
use super::schedule::{self, Policy};
use super::sweep::{Exclusion, SeedPair};
use crate::split::Fraction;
use crate::stage::Method;
use crate::text::{counted, grouped};

/// Most cells of a sweep.
pub const MAX_CELLS: u128 = 100_000;

/// Most exclusions of a sweep: every cell is compared with each of them.
const MAX_EXCLUSIONS: usize = 1000;

/// Allowed seeds: they are stored in JSON, where numbers are exact only below 2^53.
pub(super) const SEEDS: RangeInclusive<u64> = 0..=(1 << 53) - 1;

/// The valid values of the axes.
pub(super) struct Axes<'a> {
    pub(super) methods: Vec<Method>,
    pub(super) fractions: Vec<Fraction>,
    pub(super) policies: Vec<Policy<'a>>,
    pub(super) seeds: Vec<SeedPair>,
}

impl Axes<'_> {
    /// Returns the number of cells, before exclusions.
    fn product(&self) -> u128 {
        [self.methods.len(), self.fractions.len(), self.policies.len(), self.seeds.len()]
            .into_iter()
            .map(|n| n as u128)
            .product()
    }
}

pub(super) fn read<'a>(file: &Section<'a>) -> Axes<'a> {
    let methods = axis(file, "methods", "method", "for example [supervised, rotation, simclr]", &method);
    let fractions = axis(file, "fractions", "fraction", "for example [5%, 25%, 100%]", &fraction);
    let policies = schedule::policies(file);
    let seeds = seeds(file);
    let axes = Axes { methods, fractions, policies, seeds };
    if axes.product() > MAX_CELLS {
        let message = format!(
            "{} × {} × {} × {} are {}; a sweep has at most {}",
            counted(axes.methods.len(), "method"),
            counted(axes.fractions.len(), "fraction"),
            counted(axes.policies.len(), "lr policy"),
            counted(axes.seeds.len(), "seed"),
            counted(axes.product(), "cell"),
            grouped(MAX_CELLS as u64),
        );
        file.refuse::<()>(message, "shorten an axis, or write several sweeps: they share their stages");
        // Check first, so that an oversized product is not expanded.
        return Axes { methods: Vec::new(), ..axes };
    }
    axes
}

/// Returns the values of the list `key`; each may occur once.
fn axis<'a, T: Ord + Copy>(
    file: &Section<'a>,
    key: &str,
    what: &str,
    help: &str,
    read: &dyn Fn(&Field<'a>) -> Option<T>,
) -> Vec<T> {
    let items = file.need(key, help, |field| field.list(what)).unwrap_or_default();
    let (mut values, mut known) = (Vec::new(), BTreeSet::new());
    for item in &items {
        let Some(value) = read(item) else { continue };
        if known.insert(value) {
            values.push(value);
        } else {
            item.refuse::<()>(format!("this {what} is in the list twice"));
        }
    }
    values
}

fn method(field: &Field<'_>) -> Option<Method> {
    field.choice("a method", &Method::ALL.map(|method| (method.as_str(), method)))
}

/// `0.05`, `5%` or `"5 %"`.
fn fraction(field: &Field<'_>) -> Option<Fraction> {
    let value = match &field.node.value {
        Value::Text(text) => {
            return text.parse().ok().or_else(|| {
                field.refuse_with(
                    format!("{} is not a fraction in (0, 1]", super::error::quoted(text)),
                    "write 0.05 or 5%",
                )
            });
        }
        Value::Integer(value) => *value as f64,
        Value::Number(value) => *value,
        _ => return field.refuse_with("expected a fraction in (0, 1]", "write 0.05 or 5%"),
    };
    Fraction::new(value).or_else(|| {
        let help =
            if value > 1.0 && value <= 100.0 { format!("did you mean `{value}%`?") } else { "write 0.05 or 5%".into() };
        field.refuse_with(format!("the fraction {value} is outside (0, 1]"), help)
    })
}

fn seeds(file: &Section<'_>) -> Vec<SeedPair> {
    let seed = |field: &Field<'_>| field.integer(SEEDS);
    let seeds = match file.get("seeds") {
        Some(_) => axis(file, "seeds", "seed", "", &seed),
        None => vec![0],
    };
    let split_seeds = file.get("split_seeds").and_then(|field| {
        let items = field.list("seed")?;
        let values: Vec<u64> = items.iter().filter_map(seed).collect();
        if items.len() == 1 || items.len() == seeds.len() {
            Some(values)
        } else {
            field.refuse_with(
                format!("{} for {}", counted(items.len(), "split seed"), counted(seeds.len(), "seed")),
                "give one for all, or one for each seed",
            )
        }
    });
    let split = |i: usize, seed: u64| match split_seeds.as_deref() {
        Some([one]) => *one,
        Some(each) => each.get(i).copied().unwrap_or(seed),
        None => seed,
    };
    seeds.iter().enumerate().map(|(i, seed)| SeedPair { seed: *seed, split: split(i, *seed) }).collect()
}

/// `exclude`: a list of partial cells.
pub(super) fn exclusions(file: &Section<'_>, axes: &Axes<'_>) -> Vec<Exclusion> {
    let Some(field) = file.get("exclude") else { return Vec::new() };
    let items = field.list("exclusion").unwrap_or_default();
    if items.len() > MAX_EXCLUSIONS {
        field.refuse::<()>(format!("{} exclusions; a sweep has at most {MAX_EXCLUSIONS}", items.len()));
        return Vec::new();
    }
    items.iter().filter_map(|item| exclusion(item, axes)).collect()
}

fn exclusion(field: &Field<'_>, axes: &Axes<'_>) -> Option<Exclusion> {
    let section = field.section()?;
    section.only(&["method", "fraction", "lr", "seed"]);
    let method = section.optional("method", |field| among(&field, method(&field)?, &axes.methods, "methods"));
    let fraction = section.optional("fraction", |field| among(&field, fraction(&field)?, &axes.fractions, "fractions"));
    let names: Vec<(&str, String)> =
        axes.policies.iter().map(|policy| (policy.name.as_str(), policy.name.clone())).collect();
    let lr = section.optional("lr", |field| field.choice("a learning-rate policy of this sweep", &names));
    let seeds: Vec<u64> = axes.seeds.iter().map(|pair| pair.seed).collect();
    let seed = section.optional("seed", |field| among(&field, field.integer(SEEDS)?, &seeds, "seeds"));
    let exclusion = Exclusion { method: method?, fraction: fraction?, lr: lr?, seed: seed? };
    if exclusion == Exclusion::default() {
        return field.refuse("the exclusion names no value: give at least one of method, fraction, lr and seed");
    }
    Some(exclusion)
}

fn among<T: PartialEq>(field: &Field<'_>, value: T, axis: &[T], name: &str) -> Option<T> {
    if axis.contains(&value) {
        Some(value)
    } else {
        field.refuse(format!("excludes nothing: the value is not among this sweep's `{name}`"))
    }
}
