//! Chooses what a new sweep says about pictures that cannot be read and about identical ones: so that it can be planned.

use pretext_shared::dataset::{DatasetFacts, DuplicatePolicy, Note, Policies, Unreadable};
use pretext_shared::survey::{Duplicates, Survey};

/// Returns the weakest choices with which the data set can be used. Without a look at every picture, only what the list
/// of files shows is known.
pub(super) fn propose(facts: &DatasetFacts, survey: Option<&Survey>) -> Policies {
    let above = |part: u64, all: u64| part as f64 > Duplicates::REFUSED_ABOVE * all as f64;
    let all = facts.train_total() + facts.validation_total() + facts.test_total();
    let drops = match survey {
        Some(Survey { duplicates: found, .. }) => {
            let shares = found.leaked_share.max(found.two_labels_share);
            // Copies are on both sides of a test that is drawn from them.
            shares > Duplicates::REFUSED_ABOVE || (facts.test.is_empty() && above(2 * found.copies, all))
        }
        None => facts.notes.iter().any(|note| match note {
            Note::Leaked { count, all, .. } => above(*count, *all),
            Note::TwoLabels { count, .. } => above(2 * count, all),
            _ => false,
        }),
    };
    let skips = survey.is_some_and(|survey| !survey.unreadable.is_empty());
    Policies {
        unreadable: if skips { Unreadable::Skip } else { Unreadable::Refuse },
        duplicates: if drops { DuplicatePolicy::DropFromTrain } else { DuplicatePolicy::Refuse },
    }
}

/// Returns the lines that explain choices which are not the default ones.
pub(super) fn comment(policies: Policies) -> String {
    let mut out = String::new();
    if policies.unreadable == Unreadable::Skip {
        out.push_str(
            "  # `skip` leaves out the pictures that cannot be read; better, repair them and remove the line.\n",
        );
    }
    if policies.duplicates == DuplicatePolicy::DropFromTrain {
        out.push_str(
            "  # `drop-from-train` leaves out training pictures that are also test pictures, that have two labels, or that\n  \
             # repeat if the test is drawn from them. `keep` uses all as they are.\n",
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use pretext_shared::dataset::Procedural;
    use pretext_shared::survey::{SurveyPart, UnreadableFile};

    use super::*;

    #[test]
    fn the_weakest_choice_that_works_is_proposed() {
        let facts = Procedural { train_per_class: 100, test_per_class: 50, seed: 0 }.facts();
        let proposed = |facts: &DatasetFacts, survey: Survey| {
            let Policies { unreadable, duplicates } = propose(facts, Some(&survey));
            (unreadable, duplicates)
        };
        let (refuse, strict) = (Unreadable::Refuse, DuplicatePolicy::Refuse);
        let drops = DuplicatePolicy::DropFromTrain;
        assert_eq!(proposed(&facts, Survey::default()), (refuse, strict));
        let leaks = |leaked_share, copies| Survey {
            duplicates: Duplicates { leaked_share, copies, ..Duplicates::default() },
            ..Survey::default()
        };
        assert_eq!(proposed(&facts, leaks(0.01, 90)), (refuse, strict));
        assert_eq!(proposed(&facts, leaks(0.02, 0)), (refuse, drops));
        assert_eq!(proposed(&DatasetFacts { test: Vec::new(), ..facts.clone() }, leaks(0.0, 9)), (refuse, drops));
        let bad = UnreadableFile { part: SurveyPart::Train, path: "a".into(), label: 0, reason: "why".into() };
        assert_eq!(proposed(&facts, Survey { unreadable: vec![bad], ..Survey::default() }), (Unreadable::Skip, strict));
        let leaked = Note::Leaked { count: 9, all: 150, example: [String::new(), String::new()] };
        let noted = DatasetFacts { notes: vec![leaked], ..facts };
        assert_eq!(propose(&noted, None).duplicates, drops);
        assert!(comment(propose(&noted, None)).lines().all(|line| line.starts_with("  # ")));
    }
}
