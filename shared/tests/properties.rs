//! Tests with sweep files of every shape: the plan has exactly what the file says.

use std::collections::BTreeSet;

use pretext_shared::dataset::Source;
use pretext_shared::device::NumericClass;
use pretext_shared::plan::expand;
use pretext_shared::spec::parse;
use pretext_shared::stage::{Extent, Method};
use pretext_shared::sweep::CellKey;
use proptest::prelude::*;
use proptest::sample::subsequence;

/// A sweep as a person might write it.
#[derive(Debug, Clone)]
struct Written {
    methods: Vec<Method>,
    /// Hundredths of a percent.
    fractions: Vec<u32>,
    policies: Vec<usize>,
    seeds: Vec<u64>,
    all_data: bool,
    excluded: Option<(usize, usize)>,
}

fn written() -> impl Strategy<Value = Written> {
    let methods: Vec<Method> = Method::ALL.to_vec();
    let count = methods.len();
    let axes = (
        subsequence(methods, 1..=count),
        prop::collection::btree_set(100u32..=10_000, 1..4),
        subsequence(vec![0usize, 1, 2], 1..=3),
        prop::collection::btree_set(0u64..1 << 53, 1..4),
    );
    (axes, any::<bool>(), prop::option::of((0usize..4, 0usize..4))).prop_map(|(axes, all_data, excluded)| {
        let (methods, fractions, policies, seeds) = axes;
        let (fractions, seeds) = (fractions.into_iter().collect(), seeds.into_iter().collect());
        Written { methods, fractions, policies, seeds, all_data, excluded }
    })
}

fn joined<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}

impl Written {
    fn percent(hundredths: u32) -> String {
        format!("{}%", f64::from(hundredths) / 100.0)
    }

    /// Returns the method and the seed that are excluded together, if cells remain.
    fn left_out(&self) -> Option<(Method, u64)> {
        let (method, seed) = self.excluded?;
        let pair = (self.methods[method % self.methods.len()], self.seeds[seed % self.seeds.len()]);
        (self.methods.len() * self.seeds.len() > 1).then_some(pair)
    }

    fn text(&self) -> String {
        const POLICIES: [&str; 3] = [
            "steady: {kind: constant, base: 1e-3}",
            "falling: {kind: cosine, base: {pretext: 3e-4, downstream: 1e-3}, warmup_epochs: 1}",
            "other: {kind: constant, base: 5e-6}",
        ];
        let exclude = match self.left_out() {
            Some((method, seed)) => format!("exclude: [{{method: {}, seed: {seed}}}]\n", method.as_str()),
            None => String::new(),
        };
        format!(
            "name: written\ndataset: {{kind: procedural, train_per_class: 400, test_per_class: 20, seed: 0}}\n\
             encoder: {{kind: small-cnn, width: 8, blocks: 2}}\nmethods: [{}]\nfractions: [{}]\nlr: {{{}}}\nseeds: [{}]\n\
             pretext: {{data: {}, epochs: 3, batch: 8}}\ndownstream: {{epochs: 3, batch: 8}}\n{exclude}",
            joined(&self.methods, |method| method.as_str().to_owned()),
            joined(&self.fractions, |fraction| Self::percent(*fraction)),
            joined(&self.policies, |policy| POLICIES[*policy].to_owned()),
            joined(&self.seeds, u64::to_string),
            if self.all_data { "all" } else { "fraction" },
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_combination_of_the_axes_is_a_cell_once_and_every_cell_has_its_stages(written in written()) {
        let text = written.text();
        let sweep = parse(&text).map_err(|errors| TestCaseError::fail(errors.render("sweep.yaml", &text)))?;
        let left_out = written.left_out();
        let keys: Vec<CellKey> = sweep.cells().map(|(key, ..)| key).collect();
        let distinct: BTreeSet<String> = keys.iter().map(ToString::to_string).collect();
        prop_assert_eq!(distinct.len(), keys.len());
        let kept = written.methods.len() * written.seeds.len() - usize::from(left_out.is_some());
        prop_assert_eq!(keys.len(), kept * written.fractions.len() * written.policies.len());
        prop_assert!(keys.iter().all(|key| Some((key.method, key.seed)) != left_out));

        let Source::Procedural(procedural) = &sweep.source else { panic!("another source than was written") };
        let plan = expand(&sweep, &procedural.facts(), NumericClass::Cpu, Extent::Whole)
            .map_err(|errors| TestCaseError::fail(errors.to_string()))?;
        prop_assert_eq!(plan.cells.len(), keys.len());
        let used: BTreeSet<_> = plan.cells.iter().flat_map(|cell| cell.stages()).collect();
        let planned: BTreeSet<_> = plan.stages.iter().map(|stage| stage.id).collect();
        prop_assert_eq!(used, planned);
        // A stage's id is the hash of its content, also after it was stored and read.
        for stage in &plan.stages {
            let json = serde_json::to_string(&stage.stage).expect("plain data");
            let again: pretext_shared::stage::Stage = serde_json::from_str(&json).expect("what was just written");
            prop_assert_eq!(again.id(), stage.id);
        }
        // The same text is the same sweep.
        let again = expand(&parse(&text).expect("it was good"), &procedural.facts(), NumericClass::Cpu, Extent::Whole);
        prop_assert_eq!(again.map(|plan| plan.sweep).ok(), Some(plan.sweep));
    }
}
