//! Tests of mistakes that people bring from other programs: encodings, spaces, quotes, templates, YAML's rarer parts, and
//! batches of one image.

use super::parse;

const GOOD: &str = "\
name: quick
dataset: {kind: procedural, train_per_class: 20, test_per_class: 4, image_size: 16}
encoder: {kind: small-cnn, width: 4, blocks: 2}
methods: [supervised]
fractions: [100%]
lr: {fixed: {kind: constant, base: 1e-3}}
seeds: [0]
downstream: {epochs: 1, batch: 8}
";

/// Returns all problems of the good text with `from` replaced, `LINE:COL: path: message (help)` each.
#[track_caller]
fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    problems(&GOOD.replace(from, to))
}

fn problems(text: &str) -> String {
    match parse(text) {
        Ok(_) => "no problem".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn every_way_to_end_a_line_is_read() {
    let bom = format!("\u{feff}{GOOD}");
    for text in [&bom, &GOOD.replace('\n', "\r\n"), &GOOD.replace('\n', "\r"), &bom.replace('\n', "\r\n")] {
        assert_eq!(problems(text), "no problem", "{text:?}");
    }
    assert_eq!(problems(&format!("%YAML 1.2\n---\n{GOOD}...\n")), "no problem");
    // A faulty line is shown, whatever ends the lines before it.
    let text = GOOD.replace("seeds:", "Seeds:").replace('\n', "\r");
    let shown = parse(&text).expect_err("a mistake").render("s.yaml", &text);
    assert!(shown.starts_with("s.yaml:7:1: unknown key `Seeds`\n 7 | Seeds: [0]\n   | ^\n"), "{shown}");
}

#[test]
fn spaces_and_quotes_of_word_processors_are_named() {
    let space = "1:6: there is a non-breaking space (U+00A0) here (type a plain space instead)";
    assert_eq!(with("name: quick", "name:\u{a0}quick"), space);
    let glued = with("batch: 8", "batch:\u{a0}8");
    assert!(
        glued.contains("8:25: downstream: unknown key")
            && glued.ends_with("(column 31 has a non-breaking space (U+00A0): type a plain space instead)"),
        "{glued}"
    );
    let quotes = with("name: quick", "name: “quick”");
    assert!(quotes.ends_with("(column 7 has a typographic quote (U+201C): type a plain \" instead)"), "{quotes}");
    assert!(with("batch: 8", "batch\u{ff1a}8").contains("a full-width colon (U+FF1A)"));
    assert!(with("batch: 8", "batch: \u{200b}8").contains("an invisible character (U+200B)"));
    // In comments and in quotes they do no harm, and explain nothing.
    let other = with("seeds: [0]", "seeds: [-1] # “0”\u{a0}is {{ seed }}");
    assert_eq!(other, "7:9: seeds[0]: expected a whole number from 0 to 9007199254740991, found -1");
}

#[test]
fn templates_are_no_sweeps() {
    let placeholder = "there is a placeholder of a template (`{{ … }}` or `{% … %}`) here (a sweep file is no template: write the value there)";
    assert_eq!(with("1e-3", "{{ lr }}"), format!("6:36: {placeholder}"));
    assert_eq!(with("seeds:", "{% for s in seeds %}\nseeds:"), format!("7:1: {placeholder}"));
    let quoted = with("quick", "\"{{ name }}\"");
    assert!(quoted.contains("column 8 has a placeholder of a template"), "{quoted}");
    assert!(with("quick", "${USER}").contains("column 7 has a variable (`${…}`): a sweep file has no variables"));
}

#[test]
fn rare_parts_of_yaml_get_a_remedy() {
    let lr = "lr: {fixed: {kind: constant, base: 1e-3}}";
    let merge = with(lr, "lr:\n  fixed: &b {kind: constant, base: 1e-3}\n  other:\n    <<: *b\n    base: 1e-4");
    assert!(
        merge.starts_with("9:5: a sweep file has no merge keys (`<<`) (write out the keys of the other mapping"),
        "{merge}"
    );
    let alias = with(lr, "lr:\n  fixed: &b {kind: constant, base: 1e-3}\n  other: *b");
    assert_eq!(alias, "no problem");
    let unknown = with(lr, "lr:\n  fixed: *b");
    assert!(unknown.starts_with("7:10: the alias (`*NAME`) has no anchor"), "{unknown}");
    let second = problems(&format!("{GOOD}---\n{GOOD}"));
    assert!(second.contains("a second YAML document begins here") && !second.starts_with("0:"), "{second}");
    let tag = with("1e-3", "!!python/object/apply:os.system ['true']");
    assert!(tag.starts_with("6:"), "{tag}");
    let tab = with("downstream: {epochs: 1, batch: 8}", "downstream:\n\tepochs: 1\n\tbatch: 8");
    assert!(tab.starts_with("9:") && tab.contains("indent with spaces"), "{tab}");
    let twice = with("seeds: [0]", "seeds: [0]\nseeds: [1]");
    assert_eq!(twice, "8:1: the key `seeds` is given twice");
    let dash = with("[supervised]", "- supervised");
    assert!(dash.starts_with("4:") && dash.contains("square brackets"), "{dash}");
    for text in ["", "# nothing\n", "\n---\n"] {
        assert!(problems(text).contains("the file is empty, or has only comments"), "{text:?}: {}", problems(text));
    }
}

#[test]
fn values_in_other_clothes_get_a_remedy() {
    assert!(with("batch: 8", "batch: \"8\"").ends_with("found the text `8` (remove the quotes: write 8)"));
    assert!(with("base: 1e-3", "base: '1e-3'").ends_with("(remove the quotes: write 1e-3)"));
    assert!(with("seeds: [0]", "seeds: ['0']").ends_with("(remove the quotes: write 0)"));
    assert!(with("base: 1e-3", "base: \"0,001\"").ends_with("(write 0.001, with a decimal point)"));
    assert!(with("batch: 8", "flip: \"true\"").ends_with("(remove the quotes: write true)"));
    assert!(
        with("epochs: 1,", "epochs:1,")
            .contains("unknown key `epochs:1` (write `epochs: 1`, with a space after the colon)")
    );
    assert!(with("[supervised]", "supervised").ends_with("(put it in square brackets, also if there is only one)"));
}

#[test]
fn batch_normalisation_over_one_value_is_refused() {
    let with = |encoder: &str, size: u32, downstream: &str| {
        let text = GOOD
            .replace("{kind: small-cnn, width: 4, blocks: 2}", encoder)
            .replace("image_size: 16", &format!("image_size: {size}"))
            .replace("batch: 8", downstream);
        problems(&text)
    };
    assert_eq!(
        with("{kind: resnet18, stem: 7x7}", 32, "batch: 1"),
        "8:32: downstream.batch: batch normalisation needs more than one value: of 32×32 pixels, the encoder's last maps \
         keep 1×1, and a batch has 1 image (set `batch` to at least 2, or use `stem: 3x3` or an `image_size` of at least 33)"
    );
    let small = with("{kind: small-cnn, blocks: 5}", 16, "batch: 1");
    assert!(small.contains("use fewer `blocks` or an `image_size` of at least 17"), "{small}");
    for (encoder, size, downstream) in [
        ("{kind: resnet18, stem: 7x7}", 32, "batch: 2"),
        ("{kind: resnet50, stem: 7x7}", 33, "batch: 1"),
        ("{kind: resnet18, stem: 3x3}", 16, "batch: 1"),
        ("{kind: small-cnn, blocks: 5}", 17, "batch: 1"),
        ("{kind: small-cnn, blocks: 5}", 16, "batch: 1, block: 4"),
        ("nin", 16, "batch: 1"),
    ] {
        assert_eq!(with(encoder, size, downstream), "no problem", "{encoder} {size} {downstream}");
    }
    // A frozen encoder normalises with its running statistics, and four rotations of one image are four values.
    let text = GOOD
        .replace("blocks: 2", "blocks: 5")
        .replace("[supervised]", "[rotation]")
        .replace("batch: 8}", "batch: 1, mode: frozen}\npretext: {epochs: 1, batch: 1}");
    assert_eq!(problems(&text), "no problem");
}
