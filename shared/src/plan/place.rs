//! Finds the lines of the sweep file that problems with the data are about, and advice that fits what is written there.

use super::error::{PlanError, PlanErrors};
use crate::spec::{Issue, PretextData, SpecErrors, Sweep, place};
use crate::split::Fraction;
use crate::stage::Method;

impl PlanErrors {
    /// Returns the problems with their lines in `text`, the file of `sweep`.
    pub fn placed(&self, sweep: &Sweep, text: &str) -> SpecErrors {
        let written = Written { sweep, text };
        let mut issues: Vec<Issue> = self.0.iter().map(|error| written.issue(error)).collect();
        issues.sort_by_key(|issue| (issue.line, issue.column));
        SpecErrors { issues, omitted: 0 }
    }
}

/// A sweep and its text.
struct Written<'a> {
    sweep: &'a Sweep,
    text: &'a str,
}

impl Written<'_> {
    fn issue(&self, error: &PlanError) -> Issue {
        let place = place(self.text, &self.key(error));
        let (line, column, path) = (place.line, place.column, place.path);
        Issue { line, column, path, message: error.to_string(), help: self.help(error) }
    }

    /// Returns the key that the problem is about, whether or not the file has it.
    fn key(&self, error: &PlanError) -> String {
        match error {
            PlanError::OtherData { asked: key, .. }
            | PlanError::Contradiction { key, .. }
            | PlanError::TooFewClasses { key, .. }
            | PlanError::NoTestImages { key }
            | PlanError::TestPartMissing { key, .. } => format!("{}.path", self.dataset(key)),
            PlanError::TestPartExists { key, .. } => format!("{}.test_fraction", self.dataset(key)),
            PlanError::ClassOnlyInTest { .. } => "dataset.path".to_owned(),
            PlanError::TooFew { fraction, .. }
            | PlanError::OneSided { fraction, .. }
            | PlanError::Untrained { fraction, .. }
            | PlanError::NoContrast { fraction, .. } => self.fraction(*fraction),
            PlanError::NoStep { method, .. } => self.batch(*method),
        }
    }

    fn dataset(&self, key: &str) -> &'static str {
        let other = self.sweep.pretext_dataset.as_ref().is_some_and(|other| other.source.key() == key);
        if other && self.sweep.source.key() != key { "pretext.dataset" } else { "dataset" }
    }

    /// Returns the fraction in the list. Pretext training on all images may need one that is not in it.
    fn fraction(&self, fraction: Fraction) -> String {
        match self.sweep.fractions.iter().position(|listed| *listed == fraction) {
            Some(index) => format!("fractions[{index}]"),
            None if self.sweep.pretext_dataset.is_some() => "pretext.dataset".to_owned(),
            None => "pretext.data".to_owned(),
        }
    }

    /// Returns the key that gives the pretext batch of a method: its override if there is one.
    fn batch(&self, method: Method) -> String {
        let own = format!("overrides.{method}.pretext.batch");
        if self.has(&own) { own } else { "pretext.batch".to_owned() }
    }

    fn has(&self, path: &str) -> bool {
        place(self.text, path).path == path
    }

    fn help(&self, error: &PlanError) -> Option<String> {
        let (method, fraction, mut ways) = match error {
            PlanError::NoStep { method, fraction, images, .. } => {
                (*method, *fraction, self.smaller_batch(*method, *images))
            }
            PlanError::NoContrast { method, fraction, .. } => (*method, *fraction, Vec::new()),
            _ => return None,
        };
        match self.data(method) {
            // All images are used already.
            Some(PretextData::All) | None => ways.push("add images".to_owned()),
            Some(PretextData::Fraction) => {
                if fraction != Fraction::ALL {
                    ways.push("write `data: all` in `pretext`".to_owned());
                }
                if self.sweep.fractions.len() > 1 {
                    ways.push("leave this fraction out".to_owned());
                }
                if ways.is_empty() {
                    ways.push("add images".to_owned());
                }
            }
        }
        if self.sweep.methods.len() > 1 {
            ways.push(format!("leave `{method}` out"));
        }
        Some(match ways.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, first)) => format!("{}, or {last}", first.join(", ")),
            None => return None,
        })
    }

    /// Returns how to make the batch fit. A contrastive batch has at least two images.
    fn smaller_batch(&self, method: Method, images: u64) -> Vec<String> {
        if images < 2 {
            return Vec::new();
        }
        // A smaller batch for all methods would change the others too.
        let others = self.sweep.recipes.iter().any(|recipe| recipe.method != method && recipe.pretext.is_some());
        let key = match self.batch(method) {
            key if key.starts_with("overrides") || !others => key,
            _ => format!("overrides.{method}.pretext.batch"),
        };
        vec![format!("set `{key}` to at most {images}")]
    }

    fn data(&self, method: Method) -> Option<PretextData> {
        let recipe = self.sweep.recipes.iter().find(|recipe| recipe.method == method)?;
        recipe.pretext.as_ref().map(|pretext| pretext.data)
    }
}

#[cfg(test)]
mod tests {
    use crate::dataset::{DatasetFacts, Procedural, Source};
    use crate::device::NumericClass;
    use crate::ids::{ContentHash, Fingerprint};
    use crate::plan::expand;
    use crate::spec::parse;
    use crate::stage::Extent;

    const SWEEP: &str = "\
name: quick
dataset: {kind: procedural, train_per_class: 10, test_per_class: 2}
encoder: small-cnn
methods: [simclr]
fractions: [20%, 100%]
lr: {fixed: {kind: constant, base: 1e-3}}
pretext: {epochs: 1, batch: 25}
downstream: {epochs: 1}
";

    /// Returns all problems of the sweep with `from` replaced.
    fn problems(from: &str, to: &str) -> String {
        assert!(SWEEP.contains(from), "{from}");
        let text = SWEEP.replace(from, to);
        let sweep = parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
        let facts = match &sweep.source {
            Source::Procedural(procedural) => procedural.facts(),
            source => DatasetFacts {
                key: source.key(),
                fingerprint: Fingerprint(ContentHash::of(b"pets")),
                test: Vec::new(),
                ..Procedural { train_per_class: 10, test_per_class: 2, seed: 0 }.facts()
            },
        };
        let errors = expand(&sweep, &facts, NumericClass::Cpu, Extent::Whole).expect_err("a problem");
        errors.placed(&sweep, &text).to_string()
    }

    #[test]
    fn advice_fits_what_is_written() {
        let (small, whole) =
            ("simclr at fraction 0.2 has 3 training images", "simclr at fraction 1 has 24 training images");
        assert_eq!(
            problems("20%, 100%", "20%, 100%"),
            format!(
                "7:29: pretext.batch: {small}, less than one batch of 25 (set `pretext.batch` to at most 3, write `data: \
                 all` in `pretext`, or leave this fraction out)\n7:29: pretext.batch: {whole}, less than one batch of 25 \
                 (set `pretext.batch` to at most 24, or leave this fraction out)"
            )
        );
        // What is there already is no advice.
        assert_eq!(
            problems("{epochs: 1, batch: 25}", "{epochs: 1, batch: 25, data: all}"),
            format!(
                "7:29: pretext.batch: {whole}, less than one batch of 25 (set `pretext.batch` to at most 24, or add images)"
            )
        );
        assert_eq!(
            problems("[20%, 100%]", "[100%]"),
            format!("7:29: pretext.batch: {whole}, less than one batch of 25 (set `pretext.batch` to at most 24)")
        );
        // Other methods keep their batch.
        let advice = problems("[simclr]\nfractions: [20%, 100%]", "[rotation, simclr]\nfractions: [100%]");
        assert!(
            advice.ends_with("(set `overrides.simclr.pretext.batch` to at most 24, or leave `simclr` out)"),
            "{advice}"
        );
        let own = "downstream: {epochs: 1}\noverrides: {simclr: {pretext: {batch: 32}}}\nmax_parallel: 1";
        let advice = problems("downstream: {epochs: 1}", own);
        assert!(advice.contains("9:39: overrides.simclr.pretext.batch: "), "{advice}");
        assert!(advice.contains("set `overrides.simclr.pretext.batch` to at most 3"), "{advice}");
    }

    #[test]
    fn every_problem_with_the_data_has_its_line() {
        assert!(
            problems("[20%, 100%]", "[100%, 5%]").starts_with("5:19: fractions[1]: fraction 0.05 takes 1 of the 10")
        );
        let folder = "{kind: image-folder, path: pets, image_size: 16}";
        let drawn = "{kind: procedural, train_per_class: 10, test_per_class: 2}";
        let missing = problems(drawn, folder);
        assert!(missing.starts_with("2:37: dataset.path: image-folder:pets has no test part"), "{missing}");
        let all = problems("[20%, 100%]\nlr", "[50%]\nnumeric: cpu\nlr");
        assert!(all.starts_with("8:29: pretext.batch: "), "{all}");
    }
}
