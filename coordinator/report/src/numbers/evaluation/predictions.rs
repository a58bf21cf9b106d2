//! `predictions.csv`: `sample,path,label,predicted,p_0,…`, a row per test image.

/// Predictions that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not the columns that are expected.
    #[error("the predictions have the columns {found}, not sample, path, label, predicted, p_0, p_1, …")]
    Columns {
        /// What there is.
        found: String,
    },
    /// Not CSV, or not a number where one should be.
    #[error("row {row} of the predictions cannot be read: {what}")]
    Row {
        /// From 1, the heading not counted.
        row: usize,
        /// What is wrong.
        what: String,
    },
}

/// The answers of one model to the test images.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Number of classes.
    classes: usize,
    /// Sample id, label and answer of each image.
    answers: Vec<(u32, u32, u32)>,
    /// Row-major `[images, classes]`.
    probabilities: Vec<f64>,
}

/// One image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// Sample id.
    pub sample: u32,
    /// Index of its class.
    pub label: u32,
    /// The class of highest probability.
    pub predicted: u32,
    /// Probability of every class.
    pub probabilities: &'a [f64],
}

/// Columns before the probabilities.
const LEADING: [&str; 4] = ["sample", "path", "label", "predicted"];

impl Predictions {
    /// Reads the content of the file.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = csv::Reader::from_reader(content);
        let headings = reader.headers().map_err(|error| Malformed::Row { row: 0, what: error.to_string() })?;
        let classes = headings.len().saturating_sub(LEADING.len());
        let expected = LEADING.iter().map(|name| (*name).to_owned()).chain((0..classes).map(|c| format!("p_{c}")));
        if classes == 0 || !headings.iter().eq(expected) {
            return Err(Malformed::Columns { found: headings.iter().collect::<Vec<_>>().join(", ") });
        }
        let mut read = Self { classes, answers: Vec::new(), probabilities: Vec::new() };
        let mut record = csv::StringRecord::new();
        for row in 1.. {
            let malformed = |what: String| Malformed::Row { row, what };
            if !reader.read_record(&mut record).map_err(|error| malformed(error.to_string()))? {
                break;
            }
            let class = |column: usize| {
                let class = number::<u32>(&record, column).map_err(malformed)?;
                if (class as usize) < classes {
                    Ok(class)
                } else {
                    Err(malformed(format!("there is no class {class}")))
                }
            };
            read.answers.push((number(&record, 0).map_err(malformed)?, class(2)?, class(3)?));
            for column in LEADING.len()..LEADING.len() + classes {
                let share: f64 = number(&record, column).map_err(malformed)?;
                if !(0.0..=1.0).contains(&share) {
                    return Err(malformed(format!("{share} is not a probability")));
                }
                read.probabilities.push(share);
            }
        }
        Ok(read)
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The images, in the order of the file.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.answers.iter().zip(self.probabilities.chunks_exact(self.classes)).map(
            |((sample, label, predicted), probabilities)| Row {
                sample: *sample,
                label: *label,
                predicted: *predicted,
                probabilities,
            },
        )
    }
}

fn number<T: std::str::FromStr>(record: &csv::StringRecord, column: usize) -> Result<T, String> {
    let text = record.get(column).unwrap_or_default();
    text.parse().map_err(|_| format!("`{}` is not a number of column {}", text.escape_debug(), column + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_may_hold_anything_and_numbers_may_not() {
        let content = b"sample,path,label,predicted,p_0,p_1\n3,\"a,\"\"b\"\"\n.png\",1,0,6e-1,4.000000e-1\n";
        let read = Predictions::parse(content).expect("a good file");
        let row = read.rows().next().expect("one row");
        assert_eq!((row.sample, row.label, row.predicted, row.probabilities), (3, 1, 0, &[0.6, 0.4][..]));
        for (bad, says) in [
            ("sample,label,predicted\n", "columns sample, label, predicted"),
            ("sample,path,label,predicted\n", "columns"),
            (
                "sample,path,label,predicted,p_0,p_1\n0,a,2,0,1,0\n",
                "row 1 of the predictions cannot be read: there is no class 2",
            ),
            ("sample,path,label,predicted,p_0,p_1\n0,a,1,0,NaN,0\n", "NaN is not a probability"),
            ("sample,path,label,predicted,p_0,p_1\n0,a,1,0,1\n", "row 1"),
        ] {
            let error = Predictions::parse(bad.as_bytes()).expect_err(bad).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
