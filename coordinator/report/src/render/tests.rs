//! All renderers show the same numbers.

use pretext_shared::point::Metric;
use pretext_shared::stage::Method;
use pretext_shared::sweep::SweepView;

use super::{html, latex, markdown, terminal};
use crate::document::{Block, Document, Field, Section, Table, Topic};
use crate::fixture::{artifact, shift_accuracy, with_floor};
use crate::numbers::{Entry, Evaluations, Tables, Verdict};
use crate::statements::Statement;

/// A sweep with significant differences, a floor, and a pretext task that is too easy.
fn sweep() -> SweepView {
    let mut view = with_floor();
    for (seed, by) in [(1, 0.001), (2, -0.001)] {
        shift_accuracy(&mut view, Method::Simclr, 0.05, seed, by);
        shift_accuracy(&mut view, Method::Rotation, 0.25, seed, 30.0 * by);
    }
    let id = view.cells.iter().find_map(|cell| cell.pretext).expect("the fixture has pretext stages");
    let stage = view.stages.get_mut(&id).expect("stages of cells are in the view");
    stage.points.iter_mut().filter(|point| point.metric == Metric::Accuracy).for_each(|point| point.value = 0.99);
    view
}

/// The numbers of a text in the order of their values, each as often as it stands there.
fn numbers(text: &str) -> Vec<String> {
    let tokens = text.split(|c: char| !(c.is_ascii_digit() || ".,".contains(c)));
    let mut numbers: Vec<String> =
        tokens.map(|token| token.trim_matches(['.', ',']).to_owned()).filter(|token| !token.is_empty()).collect();
    numbers.sort_unstable();
    numbers
}

/// `all` without `some`, each number as often as it stands there; panics if `all` does not have them.
#[track_caller]
fn without(mut all: Vec<String>, some: &[String]) -> Vec<String> {
    for one in some {
        let found = all.iter().position(|other| other == one);
        all.remove(found.unwrap_or_else(|| panic!("{one} is missing among {all:?}")));
    }
    all
}

/// The text of a page between its tags.
fn visible(page: &str) -> String {
    let body = page.split_once("</head>").expect("a page has a head").1;
    let pieces = body.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text));
    pieces.collect::<Vec<_>>().join(" ").replace("&#39;", "'")
}

/// The numbers that each of terminal, Markdown and HTML shows for `block`.
fn shown<'a>(document: &Document<'a>, block: &Block<'a>) -> [Vec<String>; 3] {
    let empty = Document { warnings: Vec::new(), sections: Vec::new(), ..document.clone() };
    let section = Section { topic: Topic::Method, blocks: vec![block.clone()] };
    let full = Document { sections: vec![section], ..empty.clone() };
    let renderers: [fn(&Document<'_>) -> String; 3] =
        [terminal::render, markdown::render, |document| visible(&html::render(document))];
    renderers.map(|render| without(numbers(&render(&full)), &numbers(&render(&empty))))
}

fn statements<'a>(document: &Document<'a>) -> Vec<Statement<'a>> {
    let blocks = document.sections.iter().flat_map(|section| &section.blocks);
    let below = blocks.flat_map(|block| match block {
        Block::Lead(lead) => vec![lead.clone()],
        Block::Statements(statements) | Block::Illustrated { statements, .. } => statements.clone(),
        _ => Vec::new(),
    });
    document.warnings.iter().cloned().chain(below).collect()
}

#[test]
fn every_statement_has_the_same_numbers_in_every_format() {
    let view = sweep();
    let evaluations = Evaluations::read(&view, &artifact);
    let tables = Tables::of(&view, &evaluations);
    let document = Document::of(&view, &tables, &evaluations);
    let all = statements(&document);
    for kind in ["Warning", "Finding", "Condition", "Input", "Note"] {
        assert!(all.iter().any(|statement| format!("{statement:?}").starts_with(kind)), "no {kind}");
    }
    let whole = [terminal::render(&document), markdown::render(&document), visible(&html::render(&document))];
    for statement in all {
        let wording = statement.wording();
        let expected = numbers(&wording.to_string());
        for block in [Block::Lead(statement.clone()), Block::Statements(vec![statement.clone()])] {
            for numbers in shown(&document, &block) {
                assert_eq!(numbers, expected, "{statement:?}");
            }
        }
        for output in &whole {
            assert!(output.contains(wording.subject), "{}: {output}", wording.subject);
        }
    }
}

/// The numbers of an entry: mean and deviation of loss and accuracy, and the number of seeds.
fn of_entry(entry: &Entry) -> Vec<String> {
    let Some((loss, accuracy)) = entry.loss.zip(entry.accuracy) else { return Vec::new() };
    let means = [format!("{:.4}", loss.mean), format!("{:.2}", 100.0 * accuracy.mean)];
    let deviations = [loss.std.map(|std| format!("{std:.4}")), accuracy.std.map(|std| format!("{:.2}", 100.0 * std))];
    let seeds = (entry.runs.len() > 1).then(|| entry.n().to_string());
    means.into_iter().chain(deviations.into_iter().flatten()).chain(seeds).collect()
}

#[test]
fn every_table_has_the_same_numbers_in_every_format() {
    let view = sweep();
    let evaluations = Evaluations::read(&view, &artifact);
    let tables = Tables::of(&view, &evaluations);
    let document = Document::of(&view, &tables, &evaluations);
    let blocks = document.sections.iter().flat_map(|section| &section.blocks);
    let all: Vec<&Table<'_>> = blocks
        .filter_map(|block| match block {
            Block::Table(table) => Some(table),
            _ => None,
        })
        .collect();
    assert!(all.len() > 8, "two policies have four tables each");
    for table in all {
        let [terminal, markdown, page] = shown(&document, &Block::Table(table.clone()));
        let entries = table.rows.iter().flat_map(|row| &row.fields).filter_map(|field| match field {
            Field::Entry { entry, .. } => Some(of_entry(entry)),
            _ => None,
        });
        without(markdown.clone(), &entries.flatten().collect::<Vec<_>>());
        // A page says more of an entry: intervals, gains and effort. A terminal leaves wide tables out.
        without(page, &markdown);
        if !terminal.is_empty() {
            assert_eq!(terminal, markdown, "{:?}", table.role);
        }
    }
}

#[test]
fn latex_has_every_mean_with_its_interval_and_marks_what_is_significant() {
    let mut view = sweep();
    for (seed, by) in [(1, -0.199), (2, -0.201), (3, -0.200)] {
        shift_accuracy(&mut view, Method::RotationJitter, 0.05, seed, by);
    }
    view.provenance.dataset.key = "image-folder:50%_\\input{x}".to_owned();
    let evaluations = Evaluations::read(&view, &artifact);
    let tables = Tables::of(&view, &evaluations);
    let latex = latex::render(&Document::of(&view, &tables, &evaluations));
    for (_, _, entry) in tables.entries() {
        let Some(accuracy) = entry.accuracy else { continue };
        let interval = accuracy.ci95.map_or_else(String::new, |half| format!(" \\pm {:.2}", 100.0 * half));
        let expected = format!("${:.2}{interval}", 100.0 * accuracy.mean);
        assert!(latex.contains(&expected), "{expected} is not in {latex}");
    }
    let significant = tables.policies.iter().flat_map(|table| &table.comparisons);
    let to_supervised = significant.filter(|one| one.b == Method::Supervised && one.verdict == Verdict::Significant);
    let (above, below): (Vec<_>, Vec<_>) =
        to_supervised.partition(|one| one.accuracy.is_some_and(|pairs| pairs.difference.mean > 0.0));
    let marked = |mark: &str| {
        let pieces: Vec<&str> = latex.split(mark).collect();
        pieces.iter().rev().skip(1).filter(|piece| piece.ends_with(|c: char| c.is_ascii_digit())).count()
    };
    assert_eq!((marked("^{*}$"), marked("^{\\dagger}$")), (above.len(), below.len()));
    assert!(!above.is_empty() && !below.is_empty(), "the sweep has both");
    assert!(latex.contains("image-folder:50\\%\\_\\textbackslash{}input"), "{latex}");
    // The task that is too easy is warned of in the caption of each table.
    assert_eq!(latex.matches("\\caption{\\textbf{Suspiciously easy").count(), latex.matches("\\begin{table}").count());
}
