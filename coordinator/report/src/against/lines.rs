//! Two sweep files, line by line.

use serde::Serialize;

/// Largest product of the numbers of lines that are compared: the table of the comparison has so many entries.
const MOST: usize = 4_000_000;

/// A line that one of two files has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "in", content = "line", rename_all = "kebab-case")]
pub enum Change {
    /// In the first file only.
    A(String),
    /// In the second file only.
    B(String),
}

/// Returns the lines that are not in the longest common subsequence of `a` and `b`, in order; `None` if the files are too
/// long to compare.
pub(super) fn changes(a: &str, b: &str) -> Option<Vec<Change>> {
    let (mut a, mut b): (Vec<&str>, Vec<&str>) = (a.lines().collect(), b.lines().collect());
    let common = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    (a, b) = (a.split_off(common), b.split_off(common));
    while a.last().is_some_and(|last| b.last() == Some(last)) {
        a.pop();
        b.pop();
    }
    if a.len().saturating_mul(b.len()) > MOST {
        return None;
    }
    // `longest[i][j]` is the length of the longest common subsequence of the rests from i and from j on.
    let mut longest = vec![vec![0u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] =
                if a[i] == b[j] { longest[i + 1][j + 1] + 1 } else { longest[i + 1][j].max(longest[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut changes) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || i < a.len() && longest[i + 1][j] >= longest[i][j + 1] {
            changes.push(Change::A(a[i].to_owned()));
            i += 1;
        } else {
            changes.push(Change::B(b[j].to_owned()));
            j += 1;
        }
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_differ_are_listed_in_order() {
        let of = |a, b| changes(a, b).expect("short");
        let (in_a, in_b) = (|line: &str| Change::A(line.to_owned()), |line: &str| Change::B(line.to_owned()));
        assert_eq!(of("x\ny\n", "x\ny"), []);
        assert_eq!(of("x\n1\ny\n2\nz", "x\n3\ny\nz\n4"), [in_a("1"), in_b("3"), in_a("2"), in_b("4")]);
        assert_eq!(of("", "x"), [in_b("x")]);
        let long = |line: &str| format!("{line}\n").repeat(3000);
        assert_eq!(changes(&long("a"), &long("b")), None);
    }
}
