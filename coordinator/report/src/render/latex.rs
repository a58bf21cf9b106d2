//! `report.tex`: the tables of the report for a paper. A document includes the file; it needs the package booktabs alone.

use pretext_shared::stage::Method;
use pretext_shared::text::{latex as escaped, line};

use crate::document::{Block, Document, Emphasis, Field, Role, Standing, Table, TableRow, Topic};
use crate::notation::{self, percent};
use crate::numbers::Entry;
use crate::statements::Statement;

/// Columns of the comparisons that fit a page: without the verdict, which becomes a mark, and McNemar's test.
const COMPARED: usize = 5;
const ABOVE: &str = "*";
const BELOW: &str = "\\dagger";

/// Returns the tables of every policy, with comments between them.
pub fn render(document: &Document<'_>) -> String {
    let mut out = format!(
        "% Label efficiency: {}\n% Load the package booktabs, and \\input this file where the tables belong.\n",
        line(document.overview.id)
    );
    for section in &document.sections {
        let Topic::Policy(lr) = section.topic else { continue };
        for block in &section.blocks {
            match block {
                Block::Lead(lead) => out.push_str(&format!("\n% {}\n", line(&lead.wording().to_string()))),
                Block::Table(table) => out.extend(tabular(document, lr, table)),
                _ => {}
            }
        }
    }
    out
}

/// Returns a table of a role that papers print.
fn tabular(document: &Document<'_>, lr: &str, table: &Table<'_>) -> Option<String> {
    let (name, columns, caption) = match table.role {
        Role::Scores => ("accuracy", table.headings.len(), scores(table)),
        Role::Comparisons => ("differences", COMPARED, comparisons()),
        Role::OverFractions => ("over-fractions", table.headings.len(), over_fractions()),
        Role::Measures | Role::Budgets | Role::Failures | Role::Stages | Role::Classes => return None,
    };
    let seeds = seeds(table);
    let row = |row: &TableRow<'_>| {
        let mut fields: Vec<String> = row.fields.iter().take(columns).map(|one| field(one, seeds)).collect();
        if let (Role::Comparisons, Emphasis::Strong, Some(difference)) = (table.role, row.emphasis, fields.get_mut(3)) {
            difference.push_str("$^{*}$");
        }
        cells(fields.into_iter())
    };
    let headings = cells(table.headings.iter().take(columns).map(|text| heading(text)));
    // The widest table fits the narrow column of text of the class `article` like this.
    let size = if table.role == Role::Comparisons { "\\footnotesize\n" } else { "" };
    let warnings: String = document.warnings.iter().map(warning).collect();
    let place = format!("Data: {}; learning-rate policy: {}", escaped(&document.overview.dataset.key), escaped(lr));
    Some(format!(
        "\n\\begin{{table}}\n\\centering\n\\caption{{{warnings}{caption} {place}.}}\n\\label{{tab:{id}-{lr}-{name}}}\n\
         {size}\\begin{{tabular}}{{@{{}}{layout}@{{}}}}\n\\toprule\n{headings}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n",
        id = document.overview.id,
        layout = "l".repeat(columns),
        rows = table.rows.iter().map(row).collect::<String>(),
    ))
}

/// Returns a heading, with a new line after a comma: headings are longer than what they stand over.
fn heading(text: &str) -> String {
    match text.split_once(", ") {
        Some((first, second)) => format!("\\shortstack[l]{{{},\\\\{}}}", escaped(first), escaped(second)),
        None => escaped(text),
    }
}

fn scores(table: &Table<'_>) -> String {
    let seeds = seeds(table);
    let is_supervised =
        |field: &Field<'_>| matches!(field, Field::Entry { entry, .. } if entry.method == Method::Supervised);
    let with_supervised = table.rows.iter().flat_map(|row| &row.fields).any(is_supervised);
    match (seeds, with_supervised) {
        (0 | 1, _) => "Test accuracy in \\%. One seed: there is no interval, and no difference was tested.".to_owned(),
        (seeds, false) => format!("Test accuracy in \\%: mean and 95\\,\\% $t$-interval over $n = {seeds}$ seeds."),
        (seeds, true) => format!(
            "Test accuracy in \\%: mean and 95\\,\\% $t$-interval over $n = {seeds}$ seeds. \
             Marks: above ($^{{{ABOVE}}}$) or below ($^{{{BELOW}}}$) Supervised at the same label fraction, by a paired \
             $t$-test over seeds at the 5\\,\\% level with Holm's adjustment. \
             Entries without a mark cannot be told from Supervised."
        ),
    }
}

fn comparisons() -> String {
    "Differences in test accuracy in percentage points, paired by seed. \
     A star marks those that are significant at the 5\\,\\% level with Holm's adjustment."
        .to_owned()
}

fn over_fractions() -> String {
    "Test accuracy over all label fractions, with stratified bootstrap intervals.".to_owned()
}

/// Returns a warning for the caption: a table that leaves its report keeps it.
fn warning(warning: &Statement<'_>) -> String {
    let wording = warning.wording();
    format!("\\textbf{{{}: {}}} ", escaped(wording.subject), escaped(&wording.verdict))
}

/// Returns the largest number of seeds of an entry.
fn seeds(table: &Table<'_>) -> usize {
    let seeds = table.rows.iter().flat_map(|row| &row.fields).filter_map(|field| match field {
        Field::Entry { entry, .. } => Some(entry.n()),
        _ => None,
    });
    seeds.max().unwrap_or(0)
}

fn field(field: &Field<'_>, seeds: usize) -> String {
    match field {
        Field::Text(text) => minus(&escaped(text)),
        Field::Entry { entry, standing, .. } => self::entry(entry, *standing, seeds),
        Field::Cell { id, .. } => escaped(id),
        Field::Stage { id, .. } => id.short(),
        Field::Failure(code) => code.as_str().to_owned(),
    }
}

/// Returns mean, half width of the interval, and mark: `$50.00 \pm 4.97^{*}$`. An entry with fewer seeds than others says
/// so.
fn entry(entry: &Entry, standing: Standing, seeds: usize) -> String {
    if entry.runs.is_empty() {
        return "---".to_owned();
    }
    let remarks = escaped(&notation::remarks(entry).join("; "));
    let Some(accuracy) = entry.accuracy else { return remarks };
    let interval = accuracy.ci95.map_or_else(String::new, |half| format!(" \\pm {}", percent(half)));
    let mark = match standing {
        Standing::Above => format!("^{{{ABOVE}}}"),
        Standing::Below => format!("^{{{BELOW}}}"),
        Standing::Untold => String::new(),
    };
    let remarks = if entry.n() == seeds && entry.n() == entry.runs.len() || remarks.is_empty() {
        String::new()
    } else {
        format!(" ({remarks})")
    };
    format!("${}{interval}{mark}${remarks}", percent(accuracy.mean))
}

/// Sets hyphens before numbers as minus signs.
fn minus(text: &str) -> String {
    let mut set = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_sign = c == '-' && !before.is_alphanumeric() && rest.peek().is_some_and(char::is_ascii_digit);
        if is_sign {
            set.push_str("$-$")
        } else {
            set.push(c)
        }
        before = c;
    }
    set
}

fn cells(fields: impl Iterator<Item = String>) -> String {
    format!("{} \\\\\n", fields.collect::<Vec<_>>().join(" & "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_signs_become_minus_signs() {
        assert_eq!(minus("-1.00 [-2.00, 3.00] rotation-2"), "$-$1.00 [$-$2.00, 3.00] rotation-2");
    }
}
