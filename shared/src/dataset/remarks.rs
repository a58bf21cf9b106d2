//! What a scan left out of a data set or noticed in it, in numbers.

use serde::{Deserialize, Serialize};

/// What a data set's facts say beside the pictures that are used. They decide no result: what is left out is not in the
/// fingerprint, and the rest only warns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remarks {
    /// Training pictures of each class that `unreadable: skip` left out. Empty if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable_train: Vec<u32>,
    /// Test pictures of each class that `unreadable: skip` left out. Empty if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable_test: Vec<u32>,
    /// Training pictures of each class that `duplicates: drop-from-train` left out. Empty if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<u32>,
    /// Test pictures that are also training pictures.
    #[serde(skip_serializing_if = "is_zero")]
    pub leaked: u32,
    /// Different pictures that exist under more than one label.
    #[serde(skip_serializing_if = "is_zero")]
    pub two_labels: u32,
    /// Files beside the pictures that are no part of the data set.
    #[serde(skip_serializing_if = "is_zero")]
    pub ignored: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Remarks {
    /// Returns whether there is nothing to say.
    pub fn are_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the pictures that were left out of each class, by reason, as sentences for people. `classes` are the
    /// names in label order.
    pub fn left_out(&self, classes: &[String]) -> Vec<String> {
        let sentence = |counts: &[u32], what: &str| {
            let all: u64 = counts.iter().map(|count| u64::from(*count)).sum();
            let of = |(count, name): (&u32, &String)| (*count > 0).then(|| format!("{count} of {name}"));
            let classes: Vec<String> = counts.iter().zip(classes).filter_map(of).collect();
            (all > 0).then(|| format!("{all} {what}: {}", classes.join(", ")))
        };
        let all = [
            sentence(&self.unreadable_train, "training pictures were left out because they cannot be read"),
            sentence(&self.unreadable_test, "test pictures were left out because they cannot be read"),
            sentence(&self.dropped, "training pictures were left out because they are identical to others"),
        ];
        all.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_named_with_their_numbers() {
        let classes = ["dark", "light"].map(str::to_owned);
        let remarks = Remarks { unreadable_train: vec![0, 2], dropped: vec![1, 3], ..Remarks::default() };
        assert_eq!(
            remarks.left_out(&classes),
            [
                "2 training pictures were left out because they cannot be read: 2 of light",
                "4 training pictures were left out because they are identical to others: 1 of dark, 3 of light",
            ]
        );
        assert!(Remarks::default().left_out(&classes).is_empty());
    }
}
