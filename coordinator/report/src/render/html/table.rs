//! Tables of a page.

use pretext_html::{Html, html};

use super::piece::anchor;
use super::scores;
use crate::document::{Emphasis, Field, Role, Table, TableRow};

/// Returns the table, without its title.
pub(super) fn table(table: &Table<'_>) -> Html {
    let class = match table.role {
        Role::Scores => "scores",
        Role::Classes => "plain numbers",
        _ => "plain",
    };
    let heading = |heading: &String| html!("<th scope=\"col\">{}</th>", heading);
    html!(
        "<div class=\"scroll\"><table class=\"{class}\">\n<thead><tr>{headings}</tr></thead>\n<tbody>\n{rows}</tbody></table>\
         </div>\n",
        class = class,
        headings = table.headings.iter().map(heading).collect::<Html>(),
        rows = table.rows.iter().map(|one| row(table.role, one)).collect::<Html>(),
    )
}

fn row(role: Role, row: &TableRow<'_>) -> Html {
    let fields: Html = match (role, row.fields.split_first()) {
        (Role::Scores, Some((Field::Text(label), entries))) => {
            let label = html!("<th scope=\"row\">{}</th>", label);
            std::iter::once(label).chain(entries.iter().map(field)).collect()
        }
        _ => row.fields.iter().map(field).collect(),
    };
    match row.emphasis {
        Emphasis::Plain => html!("<tr>{}</tr>\n", fields),
        Emphasis::Strong => html!("<tr class=\"strong\">{}</tr>\n", fields),
    }
}

fn field(field: &Field<'_>) -> Html {
    match field {
        Field::Text(text) => html!("<td>{}</td>", text),
        Field::Entry { entry, majority, .. } => scores::entry(entry, *majority),
        Field::Cell { index, id } => html!("<td><a href=\"#{}\">{}</a></td>", anchor(*index), id),
        Field::Stage { kind, id } => html!(
            "<td>{} <code title=\"{}\">{}</code></td>",
            kind.map(|kind| kind.as_str()),
            id.to_string(),
            id.short()
        ),
        Field::Failure(code) => html!("<td><span class=\"chip failed\">{}</span></td>", code.as_str()),
    }
}
