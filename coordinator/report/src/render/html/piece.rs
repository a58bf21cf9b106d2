//! Small pieces of a page: links to cells, foreign lines, statements.

use pretext_html::{Html, html};

use crate::statements::{Statement, Wording};

/// Returns the anchor of a cell.
pub(super) fn anchor(index: usize) -> String {
    format!("cell-{index}")
}

/// Returns lines of foreign text as they are.
pub(super) fn pre<'a>(lines: impl Iterator<Item = &'a str>) -> Html {
    html!("<pre>{}</pre>\n", lines.map(|line| html!("{}\n", line)).collect::<Html>())
}

/// Returns a statement: the verdict, its conditions less prominent after it.
pub(super) fn statement(statement: &Statement<'_>) -> Html {
    let Wording { subject, verdict, conditions } = statement.wording();
    let conditions = (!conditions.is_empty())
        .then(|| html!(" <span class=\"conditions\">{}</span>", unbroken(&conditions.join(" "))));
    html!("<b>{}:</b> {}{}", subject, unbroken(&verdict), conditions)
}

/// Keeps numbers together with their signs when lines break.
fn unbroken(words: &str) -> String {
    words.replace(" %", "\u{a0}%").replace("± ", "±\u{a0}").replace(" /", "\u{a0}/")
}
