//! Arbitrary bytes become a value or a refusal with a reason.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use fastrand::Rng;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

use super::catalogue::{CATALOGUE, Fate, Reader};
use super::schema::Schema;

/// Length limit of a refusal, in characters.
const LONGEST: usize = 1_200;

#[test]
fn every_message_has_its_test_or_a_reason_to_have_none() {
    let listed: BTreeSet<String> = CATALOGUE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed.len(), CATALOGUE.len(), "each once");
    let reachable = Schema::new().reachable();
    let missing: Vec<_> = reachable.difference(&listed).collect();
    assert!(missing.is_empty(), "messages that the catalogue does not name: {missing:#?}");
    let gone: Vec<_> = listed.difference(&reachable).collect();
    assert!(gone.is_empty(), "no request or answer has these any more: {gone:#?}");
    assert!(reachable.len() > 60, "{}", reachable.len());
}

#[test]
fn what_is_read_within_another_message_is_read_there() {
    let names = CATALOGUE.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>();
    for (name, reader) in CATALOGUE {
        match reader {
            Reader::Within(others) => {
                let (package, _) = name.rsplit_once('.').expect("a full name");
                let others = others.split(';').next().unwrap_or_default().split(", ");
                others.for_each(|other| {
                    assert!(names.contains(format!("{package}.{other}").as_str()), "{name}: {other}")
                });
            }
            Reader::Plain(reason) => assert!(reason.len() > 10, "{name}"),
            Reader::Read(_) => {}
        }
    }
}

/// Number of messages with arbitrary content for every reader.
const MESSAGES: u32 = 5_000;

#[test]
fn whatever_comes_is_taken_or_refused_with_a_reason() {
    let schema = Schema::new();
    for (name, reader) in CATALOGUE {
        let Reader::Read(read) = reader else { continue };
        let (taken, refused) = (Cell::new(0), RefCell::new(BTreeSet::new()));
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(MESSAGES) };
        let inputs = (any::<u64>(), option::weighted(0.2, any::<Index>()));
        let tested = TestRunner::new(config).run(&inputs, |(seed, cut)| {
            let mut bytes = schema.bytes(name, &mut Rng::with_seed(seed));
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            match read(&bytes) {
                Fate::Taken => taken.set(taken.get() + 1),
                Fate::Refused(reason) => {
                    prop_assert!(!reason.trim().is_empty(), "a refusal without a reason");
                    prop_assert!(reason.chars().count() <= LONGEST, "a long refusal: {reason}");
                    prop_assert!(!reason.chars().any(char::is_control), "not fit for a terminal: {reason:?}");
                    refused.borrow_mut().insert(reason);
                }
                Fate::Undecodable => {}
            }
            Ok(())
        });
        tested.unwrap_or_else(|error| panic!("{name}: {error}"));
        println!("{name}: {} taken, {} different refusals", taken.get(), refused.borrow().len());
        assert!(taken.get() > 20, "too little of {name} was taken: {:#?}", refused.borrow());
    }
}
