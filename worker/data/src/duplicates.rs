//! Identical pictures: in training and test, under two labels, or copied within a class. Pure: from hashes to findings.

use std::collections::HashMap;

use pretext_shared::ids::ContentHash;

/// The side of the test that a picture is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Training or validation.
    Train,
    /// Test.
    Test,
}

/// A picture as the search sees it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its side.
    pub side: Side,
    /// Its class.
    pub label: u32,
    /// Its group, if groups are named: a split keeps a group together.
    pub group: Option<u32>,
    /// Hash of its decoded pixels, or of its file.
    pub hash: ContentHash,
}

/// Identical pictures, by their positions among the candidates, in ascending order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Identical {
    /// A test picture, and the first training picture that is identical.
    pub leaks: Vec<(usize, usize)>,
    /// The first of identical pictures, and one with another label.
    pub contradictions: Vec<(usize, usize)>,
    /// Different pictures that exist under more than one label.
    pub two_labels: u64,
    /// Pictures that exist under more than one label: all of their copies.
    pub contradicted: u64,
    /// Training pictures that are copies of an earlier one of the same class.
    pub copies: Vec<usize>,
    /// Pictures that a split could put on both sides: a copy of each is in another group, or there are no groups.
    pub separable: u64,
    /// Training pictures to leave out, so that no test picture is trained on and no picture has two labels.
    pub droppable: Vec<usize>,
}

/// Finds identical pictures among `candidates`. Without test pictures, which are then drawn from the training pictures,
/// every copy but the first is droppable.
pub fn find(candidates: &[Candidate]) -> Identical {
    let mut by_hash: HashMap<ContentHash, Vec<usize>> = HashMap::with_capacity(candidates.len());
    candidates.iter().enumerate().for_each(|(i, candidate)| by_hash.entry(candidate.hash).or_default().push(i));
    let mut alike: Vec<Vec<usize>> = by_hash.into_values().filter(|copies| copies.len() > 1).collect();
    alike.sort_unstable();
    let has_test = candidates.iter().any(|candidate| candidate.side == Side::Test);
    let mut found = Identical::default();
    for copies in alike {
        let of = |side: Side| copies.iter().copied().filter(move |i| candidates[*i].side == side);
        let train: Vec<usize> = of(Side::Train).collect();
        if let Some(first) = train.first() {
            found.leaks.extend(of(Side::Test).map(|test| (test, *first)));
        }
        let first = copies[0];
        let others = copies.iter().filter(|i| candidates[**i].label != candidates[first].label);
        let before = found.contradictions.len();
        found.contradictions.extend(others.map(|other| (first, *other)));
        let contradicts = found.contradictions.len() > before;
        if contradicts {
            found.two_labels += 1;
            found.contradicted += copies.len() as u64;
        }
        for (place, i) in train.iter().enumerate() {
            found
                .copies
                .extend(train[..place].iter().any(|j| candidates[*j].label == candidates[*i].label).then_some(*i));
        }
        let group = candidates[first].group;
        if group.is_none() || copies.iter().any(|i| candidates[*i].group != group) {
            found.separable += copies.len() as u64;
        }
        let train_contradicts = train.iter().any(|i| candidates[*i].label != candidates[train[0]].label);
        let is_tested = train.len() < copies.len();
        if is_tested || train_contradicts {
            found.droppable.extend(train);
        } else if !has_test {
            found.droppable.extend(&train[1..]);
        }
    }
    found.leaks.sort_unstable();
    found.copies.sort_unstable();
    found.droppable.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Candidates from `side label picture` triples.
    fn candidates(text: &str) -> Vec<Candidate> {
        let one = |word: &str| {
            let letters: Vec<char> = word.chars().collect();
            Candidate {
                side: if letters[0] == 's' { Side::Test } else { Side::Train },
                label: letters[1].to_digit(10).expect("a label"),
                group: letters.get(3).map(|letter| *letter as u32),
                hash: ContentHash::of(&[letters[2] as u8]),
            }
        };
        text.split_whitespace().map(one).collect()
    }

    #[test]
    fn leaks_contradictions_and_copies_are_told_apart() {
        let found = find(&candidates("t0a t0b t1c t0a t1b s0a s1x s1a s0y"));
        assert_eq!(found.leaks, [(5, 0), (7, 0)]);
        assert_eq!(found.contradictions, [(0, 7), (1, 4)]);
        assert_eq!((found.two_labels, found.contradicted), (2, 6));
        assert_eq!(found.copies, [3]);
        // All of `a`, which is tested, and both of `b`, whose label nobody knows.
        assert_eq!(found.droppable, [0, 1, 3, 4]);
        assert_eq!(find(&candidates("t0a t1b s0c")), Identical::default());
    }

    #[test]
    fn without_a_test_part_one_copy_remains_and_groups_hold_together() {
        let found = find(&candidates("t0a t0a t0a t0b t1b t1c"));
        assert_eq!((&found.droppable[..], found.separable), (&[1, 2, 3, 4][..], 5));
        let grouped = find(&candidates("t0ap t0ap t0bp t0bq"));
        assert_eq!(grouped.separable, 2, "the copies of `a` are in one group");
        // What remains has nothing to drop: dropping again changes nothing.
        let all = candidates("t0a t0a t1a t0b t0b t1c");
        let dropped = find(&all).droppable;
        let rest: Vec<Candidate> = (0..all.len()).filter(|i| !dropped.contains(i)).map(|i| all[i]).collect();
        assert_eq!((rest.len(), find(&rest)), (2, Identical::default()));
    }
}
