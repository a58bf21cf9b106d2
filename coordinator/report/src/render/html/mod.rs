//! `report.html`: the whole report as one page. It loads nothing, runs nothing (its own security policy forbids both)
//! and prints.

mod cell;
mod confusion;
mod piece;
mod scores;
mod table;

use pretext_html::{Html, html};
use pretext_shared::stage::Extent;
use pretext_shared::sweep::CellState;
use pretext_shared::text::counted;

use self::piece::{pre, statement};
use crate::charts::style;
use crate::document::{Block, Document, Fact, Folded, Overview, Role, Section, Table, Topic};
use crate::statements::Statement;

const STYLE: &str = include_str!("report.css");

/// Returns the whole page.
pub fn render(document: &Document<'_>) -> String {
    let page = html!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{name} · label efficiency</title>\n<style>\n{style}{chart}</style>\n</head>\n<body>\n{header}<main>\n\
         {sections}</main>\n</body>\n</html>\n",
        name = document.overview.name,
        style = Html::fixed(STYLE),
        chart = Html::fixed(&style::STYLE),
        header = header(document),
        sections = document.sections.iter().map(section).collect::<Html>(),
    );
    page.into_string()
}

fn header(document: &Document<'_>) -> Html {
    let overview = &document.overview;
    let class = match overview.extent {
        Extent::Smoke => "banner smoke",
        Extent::Whole => "banner",
    };
    let warning = |warning: &Statement<'_>| html!("<p class=\"{}\">{}</p>\n", class, warning.wording().to_string());
    html!(
        "{warnings}<header>\n<p class=\"kicker\">Label-efficiency study</p>\n<h1>{name}</h1>\n<p class=\"meta\">\
         <code>{id}</code> · {facts}</p>\n<p class=\"chips\">{chips}</p>\n<nav>{links}</nav>\n</header>\n",
        warnings = document.warnings.iter().map(warning).collect::<Html>(),
        name = overview.name,
        id = overview.id,
        facts = data(overview),
        chips = overview.states.iter().map(|(state, count)| chip(*state, *count)).collect::<Html>(),
        links = document.sections.iter().map(link).collect::<Html>(),
    )
}

fn data(overview: &Overview<'_>) -> String {
    let facts = overview.dataset;
    let test = match overview.test_images {
        0 => String::new(),
        n => format!(", {}", counted(n, "test image")),
    };
    let (classes, train) = (counted(facts.classes.len(), "class"), counted(facts.train_total(), "training image"));
    format!("{classes}, {train}{test} · {}", facts.key)
}

fn chip(state: CellState, count: usize) -> Html {
    html!("<span class=\"chip {state}\"><b>{count}</b> {state}</span>", state = state.as_str(), count = count)
}

fn link(section: &Section<'_>) -> Html {
    html!("<a href=\"#{}\">{}</a>", section.topic.anchor(), section.topic.heading())
}

fn section(section: &Section<'_>) -> Html {
    html!(
        "<section id=\"{anchor}\">\n<h2>{heading}</h2>\n{introduction}{blocks}</section>\n",
        anchor = section.topic.anchor(),
        heading = heading(section.topic),
        introduction = introduction(section.topic),
        blocks = section.blocks.iter().map(block).collect::<Html>(),
    )
}

fn heading(topic: Topic<'_>) -> Html {
    match topic {
        Topic::Policy(lr) => html!("Learning-rate policy <em>{}</em>", lr),
        Topic::Method | Topic::Failures | Topic::Cells | Topic::Provenance => html!("{}", topic.heading()),
    }
}

/// Returns the sentences that explain how to use a section of a page.
fn introduction(topic: Topic<'_>) -> Html {
    match topic {
        Topic::Cells => html!(
            "<p class=\"lead\">Open a cell for its curves, budgets and stages. Cells that share a stage show the same curves: \
             it ran once.</p>\n"
        ),
        Topic::Policy(_) | Topic::Method | Topic::Failures | Topic::Provenance => html!(""),
    }
}

fn block(block: &Block<'_>) -> Html {
    match block {
        Block::Lead(lead) => html!("<p class=\"verdict\">{}</p>\n", statement(lead)),
        Block::Statements(statements) => list(statements),
        Block::Illustrated { chart, statements } => html!(
            "<div class=\"beside\">\n<figure>{}<figcaption>Mean over seeds. Bars show one standard deviation if there are \
             several seeds.</figcaption></figure>\n{}</div>\n",
            chart.inline(),
            list(statements)
        ),
        Block::Table(table) => titled(table),
        Block::Facts(facts) => {
            let fact = |fact: &Fact| html!("<dt>{}</dt><dd>{}</dd>\n", fact.name, fact.value);
            html!("<dl class=\"facts\">\n{}</dl>\n", facts.iter().map(fact).collect::<Html>())
        }
        Block::Heading(heading) => html!("<h3>{}</h3>\n", heading),
        Block::Cell(details) => cell::details(details),
        Block::Folded { summary, content } => {
            html!("<details><summary>{}</summary>\n{}</details>\n", summary, folded(content))
        }
    }
}

fn titled(table: &Table<'_>) -> Html {
    let (title, content) = (table.role.title(), table::table(table));
    match table.role {
        Role::Scores => html!(
            "<p class=\"lead\">Test accuracy and loss. Rows are label fractions, columns are methods. The steps and images of \
             training are below each number.</p>\n{}",
            content
        ),
        Role::Budgets => html!("<details><summary>{} in full</summary>\n{}</details>\n", title, content),
        Role::Measures | Role::Comparisons | Role::OverFractions => html!("<h3>{}</h3>\n{}", title, content),
        Role::Failures | Role::Stages | Role::Classes => content,
    }
}

fn folded(content: &Folded<'_>) -> Html {
    match content {
        Folded::Table(table) => table::table(table),
        Folded::Lines(lines) => pre(lines.iter().copied()),
        Folded::Names(names) => html!("<p class=\"small\">{}</p>\n", names.join(" · ")),
    }
}

fn list(statements: &[Statement<'_>]) -> Html {
    let item = |one: &Statement<'_>| html!("<li>{}</li>\n", statement(one));
    html!("<ul class=\"notes\">\n{}</ul>\n", statements.iter().map(item).collect::<Html>())
}
