//! Sweep files as a target, with the plans of the valid ones.

use pretext_shared::dataset::{DatasetFacts, Source};
use pretext_shared::device::NumericClass;
use pretext_shared::ids::{ContentHash, Fingerprint};
use pretext_shared::plan;
use pretext_shared::spec;
use pretext_shared::stage::Extent;

use super::target::{Fate, Target};

/// Largest number of cells to plan here. Larger plans are in the named cases.
const CELLS: usize = 2_000;

/// See the module.
pub(crate) struct Sweeps;

/// Examples that together have every section of a sweep file.
pub(crate) const EXAMPLES: [&str; 7] = [
    include_str!("../../../../examples/quickstart.yaml"),
    include_str!("../../../../examples/cifar10.yaml"),
    include_str!("../../../../examples/controls.yaml"),
    include_str!("../../../../examples/original-study.yaml"),
    include_str!("../../../../examples/rotnet-cifar10.yaml"),
    include_str!("../../../../examples/simclr-cifar10.yaml"),
    include_str!("../../../../examples/simclr-cifar10-sgd.yaml"),
];

impl Target for Sweeps {
    fn name(&self) -> &'static str {
        "sweep.yaml and its plan"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        EXAMPLES.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    fn words(&self) -> Vec<Vec<u8>> {
        let words = [
            "&a ",
            "*a",
            "<<: ",
            "!!binary ",
            "!!int ",
            "? ",
            "- ",
            ": ",
            "{",
            "}",
            "[",
            "]",
            "|\n",
            ">\n",
            "---\n",
            "...\n",
            "%YAML 1.2\n",
            "\t",
            "\u{feff}",
            "\u{0}",
            "~",
            ".nan",
            ".inf",
            "-.inf",
            "1e999",
            "0x7fffffffffffffff",
            "true",
            "null",
            "5%",
            "100%",
            "30s",
            "500ms",
            "exclude: ",
            "overrides: ",
            "split_seeds: ",
            "kind: ",
            "seeds: ",
        ];
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    fn bound(&self) -> usize {
        64 << 20
    }

    fn feed(&mut self, input: &[u8]) -> Result<Fate, String> {
        read(&String::from_utf8_lossy(input), CELLS)
    }
}

/// Reads `text`, and plans it if it has at most `cells` cells.
pub(crate) fn read(text: &str, cells: usize) -> Result<Fate, String> {
    let sweep = match spec::parse(text) {
        Ok(sweep) => sweep,
        Err(errors) if errors.issues.is_empty() => return Err("refused without a reason".to_owned()),
        Err(errors) => {
            let shown = errors.render("sweep.yaml", text);
            return if shown.contains("sweep.yaml") { Ok(Fate::Refused) } else { Err(format!("unplaced: {shown}")) };
        }
    };
    if sweep.cells().take(cells + 1).count() > cells {
        return Ok(Fate::Taken);
    }
    match plan::expand(&sweep, &facts(&sweep.source), NumericClass::Cpu, Extent::Whole) {
        Ok(plan) if plan.cells.is_empty() => Err("a plan without cells".to_owned()),
        Ok(_) => Ok(Fate::Taken),
        Err(errors) if errors.to_string().is_empty() => Err("not planned, without a reason".to_owned()),
        Err(_) => Ok(Fate::Refused),
    }
}

/// Returns facts of a data set that fits the sweep, whatever its source.
pub(crate) fn facts(source: &Source) -> DatasetFacts {
    if let Source::Procedural(procedural) = source {
        return procedural.facts();
    }
    DatasetFacts {
        key: source.key(),
        fingerprint: Fingerprint(ContentHash::of(b"data")),
        classes: (0..10).map(|class| format!("class-{class}")).collect(),
        train: vec![1000; 10],
        test: vec![200; 10],
        groups: Vec::new(),
        validation: Vec::new(),
        notes: Vec::new(),
    }
}
