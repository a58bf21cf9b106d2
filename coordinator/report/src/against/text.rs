//! The comparison of two sweeps as Markdown, and for a terminal.

use pretext_shared::text::{line, markdown as escaped};

use super::{Against, Change, Pair, Side};
use crate::notation::{self, ABSENT, percent};
use crate::numbers::Verdict;
use crate::render::markdown;
use crate::render::terminal::{grid, paragraph};

const HEADINGS: [&str; 8] = [
    "policy",
    "labels",
    "method",
    "A: accuracy %",
    "B: accuracy %",
    "B − A in points, 95 % t-interval",
    "p, with Holm",
    "verdict",
];

impl Against {
    /// Returns the content of `comparison.md`.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {} against {}\n\n", escaped(self.b.id.as_str()), escaped(self.a.id.as_str()));
        out.push_str(&format!("**Significance**: {}\n\n", escaped(&self.verdict())));
        for statement in self.statements() {
            out.push_str(&format!("- {}\n", escaped(&statement)));
        }
        let rule = markdown::line(HEADINGS.iter().map(|_| "---".to_owned()));
        let headings = markdown::line(HEADINGS.iter().map(|heading| escaped(heading)));
        let rows = self.pairs.iter().map(|pair| markdown::line(columns(pair).iter().map(|field| escaped(field))));
        out.push_str(&format!("\n{headings}{rule}{}", rows.collect::<String>()));
        if let Some(changes) = self.spec.as_ref().filter(|changes| !changes.is_empty()) {
            let lines: String = changes.iter().map(|change| format!("    {}\n", self::change(change))).collect();
            out.push_str(&format!(
                "\n## Sweep files\n\nLines of A alone begin with `-`, lines of B alone with `+`.\n\n{lines}"
            ));
        }
        out
    }

    /// Returns the same for a terminal: aligned columns of plain text.
    pub fn terminal(&self) -> String {
        let mut out = paragraph("", &format!("Significance: {}", self.verdict()));
        for statement in self.statements() {
            out.push_str(&paragraph("  - ", &statement));
        }
        let row = |fields: &mut dyn Iterator<Item = String>| fields.map(|field| vec![line(&field)]).collect::<Vec<_>>();
        let headings = row(&mut HEADINGS.iter().map(|heading| (*heading).to_owned()));
        let rows = self.pairs.iter().map(|pair| row(&mut columns(pair).into_iter()));
        out.push_str(&format!("\n{}", grid(&std::iter::once(headings).chain(rows).collect::<Vec<_>>())));
        if let Some(changes) = self.spec.as_ref().filter(|changes| !changes.is_empty()) {
            let lines: String = changes.iter().map(|change| format!("  {}\n", self::change(change))).collect();
            out.push_str(&format!("\nSweep files\n{lines}"));
        }
        out
    }

    /// Returns the result in one sentence.
    fn verdict(&self) -> String {
        if !self.obstacles.is_empty() {
            return "No difference was tested.".to_owned();
        }
        let tested = self.pairs.iter().filter(|pair| pair.p_holm.is_some()).count();
        let significant = self.pairs.iter().filter(|pair| pair.verdict == Some(Verdict::Significant));
        let named: Vec<String> = significant.map(named).collect();
        match (named.len(), tested) {
            (_, 0) => "No difference could be tested.".to_owned(),
            (0, 1) => "The one tested difference is not significant.".to_owned(),
            (0, tested) => format!("None of the {tested} tested differences is significant."),
            (1, 1) => format!("The one tested difference is significant: {}.", named.join("; ")),
            (1, tested) => format!("1 of {tested} tested differences is significant: {}.", named.join("; ")),
            (some, tested) => format!("{some} of {tested} tested differences are significant: {}.", named.join("; ")),
        }
    }

    /// Returns what a reader must know to use the numbers, a sentence or two each.
    fn statements(&self) -> Vec<String> {
        let mut statements = self.obstacles.clone();
        statements.extend([side("A", &self.a), side("B", &self.b)]);
        statements.extend(self.caveats.iter().cloned());
        if self.obstacles.is_empty() {
            statements.push(
                "Tests are paired t-tests over shared seeds at the 5 % level, with Holm's adjustment for this table. They do \
                 not say which of several changes made a difference."
                    .to_owned(),
            );
        }
        statements.push("± beside an accuracy is the sample standard deviation over n seeds.".to_owned());
        for (name, only) in [("A", &self.only_a), ("B", &self.only_b)] {
            if !only.is_empty() {
                statements.push(format!("Only in {name}: {}.", only.join(", ")));
            }
        }
        match &self.spec {
            None => statements.push("The sweep files are too long to compare.".to_owned()),
            Some(changes) if changes.is_empty() => statements.push("The sweep files are the same.".to_owned()),
            Some(_) => {}
        }
        statements
    }
}

fn side(name: &str, side: &Side) -> String {
    format!("{name} is {}, with {} of {} results.", side.id, side.results, side.cells)
}

/// Returns a significant difference: `SimCLR at 5 % (scheduler), B + 2.00 points`.
fn named(pair: &Pair) -> String {
    let mean = pair.difference.map_or(0.0, |difference| difference.difference.mean);
    let sign = if mean < 0.0 { '−' } else { '+' };
    let place = format!("{} at {} ({})", pair.method.title(), pair.fraction.percent(), pair.lr);
    format!("{place}, B {sign} {} points", percent(mean.abs()))
}

fn columns(pair: &Pair) -> [String; 8] {
    let accuracy = |summary: Option<_>, n: usize| {
        summary
            .map_or_else(|| ABSENT.to_owned(), |summary| format!("{} (n = {n})", notation::spread(&summary, percent)))
    };
    let verdict = match pair.verdict {
        Some(Verdict::NoSpread) if pair.difference.is_some_and(|difference| difference.n == pair.same) => {
            "the same stages: no test"
        }
        Some(verdict) => verdict.words(),
        None => ABSENT,
    };
    [
        pair.lr.clone(),
        pair.fraction.percent(),
        pair.method.title().to_owned(),
        accuracy(pair.a, pair.n_a),
        accuracy(pair.b, pair.n_b),
        pair.difference.map_or_else(|| ABSENT.to_owned(), |difference| notation::difference(&difference)),
        notation::p_values(pair.difference.and_then(|difference| difference.p), pair.p_holm),
        verdict.to_owned(),
    ]
}

fn change(change: &Change) -> String {
    match change {
        Change::A(text) => format!("- {}", line(text)),
        Change::B(text) => format!("+ {}", line(text)),
    }
}
