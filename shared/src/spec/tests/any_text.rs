//! Texts that nobody wrote on purpose: hostile, damaged and in another order.

use proptest::prelude::*;

use super::super::parse;
use super::{GOOD, problems};

#[test]
fn hostile_text_is_refused_in_words() {
    let bomb = "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: &c [*b, *b, *b, *b]\nd: &d [*c, *c, *c, *c]\ne: [*d, *d, *d, *d]\n";
    for text in ["", "[", "a: b: c", "- 1", "\u{0}", "!!int x", &"[".repeat(100_000), &" ".repeat(2 << 20), bomb] {
        let errors = parse(text).expect_err("no sweep");
        let shown = errors.render("s.yaml", text);
        assert!(!errors.issues.is_empty() && shown.starts_with("s.yaml:") && shown.len() < 2000, "{shown}");
    }
    // No control character of the file may reach a terminal.
    let shown = |text: &str| parse(text).expect_err("no sweep").render("s.yaml", text);
    assert!(!shown("\"\\e[31mred\": 1").contains('\u{1b}'));
}

fn permuted(lines: &[String], order: &[usize]) -> String {
    let mut keyed: Vec<(usize, &String)> = order.iter().copied().zip(lines).collect();
    keyed.sort();
    keyed.into_iter().map(|(place, line)| format!("# {place}\n{line}\n\n")).collect()
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        if let Err(errors) = parse(&text) {
            prop_assert!(!errors.issues.is_empty());
            let _ = errors.render("sweep.yaml", &text);
        }
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(at in 0..GOOD.len(), cut in 0usize..12, with in "[ -~\n]{0,6}") {
        let mut text = GOOD.to_owned();
        text.replace_range(at..(at + cut).min(GOOD.len()), &with);
        if let Err(errors) = parse(&text) {
            prop_assert!(!errors.issues.is_empty());
            let _ = errors.render("sweep.yaml", &text);
        }
    }

    #[test]
    fn the_order_of_keys_and_comments_change_nothing(
        order in prop::collection::vec(any::<usize>(), 10),
        train in 2u32..1000, epochs in 1u32..50, batch in 2u32..512, base in 1e-6f64..2.0, seed in 0u64..1 << 53,
        fraction in 1u32..=1_000_000,
    ) {
        let lines = [
            "name: generated".to_owned(),
            format!("dataset: {{kind: procedural, train_per_class: {train}, seed: {seed}, test_per_class: 9}}"),
            "encoder: {kind: resnet50, stem: auto}".to_owned(),
            "methods: [supervised, rotation, rotation-jitter, simclr, random-init, rotation-noise]".to_owned(),
            format!("fractions: [{}]", f64::from(fraction) / 1e6),
            format!("lr: {{a: {{kind: cosine, base: {base}}}, b: {{kind: constant, base: {{pretext: {base}, downstream: 1}}}}}}"),
            format!("seeds: [{seed}]"),
            format!("pretext: {{epochs: {epochs}, batch: {batch}}}"),
            format!("downstream: {{steps: {epochs}}}"),
            format!("overrides: {{rotation: {{downstream: {{padding: 0, batch: {batch}}}}}}}"),
        ];
        let text = lines.join("\n");
        let sweep = parse(&text);
        prop_assert!(sweep.is_ok(), "{}", problems(&text));
        prop_assert_eq!(&sweep, &parse(&permuted(&lines, &order)));
        let flow = format!("{{{}}}", lines.join(", "));
        prop_assert_eq!(&sweep, &parse(&flow));
    }
}
