//! Reads `encoder.weights`: the file that encoders start from.

use super::dataset::path_below_root;
use super::error::quoted;
use super::field::Field;
use super::node::Value;
use super::sweep::InitialWeights;

const ENDINGS: [&str; 3] = [".safetensors", ".pt", ".pth"];

/// Reads the key in the section `encoder`; `Some(None)` if it is missing.
pub(super) fn read(encoder: &Field<'_>) -> Option<Option<InitialWeights>> {
    // A plain name has no keys; the reader of the section's kind reports other problems.
    let Value::Map(_) = encoder.node.value else { return Some(None) };
    encoder.section()?.optional("weights", |field| weights(&field))
}

fn weights(field: &Field<'_>) -> Option<InitialWeights> {
    let section = field.section()?;
    section.only(&["path", "sha256"]);
    let path = section.need("path", "the file, relative to the worker's data root", |field| {
        let path = path_below_root(&field)?;
        if ENDINGS.iter().any(|ending| path.ends_with(ending)) {
            Some(path)
        } else {
            field.refuse_with(
                format!("{} is not a file of weights", quoted(&path)),
                "name a .safetensors file, or a .pt or .pth file of PyTorch",
            )
        }
    });
    // Results depend on the hash, not on the path: without it, a replaced file would go unnoticed.
    let sha256 = section.need("sha256", "what `sha256sum FILE` prints", |field| {
        let text = field.text("64 hexadecimal digits")?;
        text.to_ascii_lowercase().parse().ok().or_else(|| {
            field.refuse_with(
                format!("{} is not a SHA-256: it has 64 hexadecimal digits", quoted(text)),
                "run `sha256sum FILE` to get it",
            )
        })
    });
    Some(InitialWeights { path: path?, sha256: sha256? })
}

#[cfg(test)]
mod tests {
    use crate::spec::parse;
    use crate::spec::tests::refused_of;

    const GOOD: &str = "\
name: quick
dataset: {kind: procedural, train_per_class: 400, test_per_class: 200}
encoder: {kind: small-cnn, weights: {path: ./w//a.pth, sha256: BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD}}
methods: [supervised, rotation]
fractions: [5%]
lr: {fixed: {kind: constant, base: 1e-3}}
pretext: {epochs: 10}
downstream: {epochs: 20}
";

    #[track_caller]
    fn refused(from: &str, to: &str, expected: &str) {
        refused_of(GOOD, from, to, expected);
    }

    #[test]
    fn a_file_and_its_hash_are_read() {
        let weights = parse(GOOD).expect("a good file").weights.expect("it names weights");
        assert_eq!(weights.path, "w/a.pth");
        assert!(weights.sha256.to_string().starts_with("ba7816bf"));
        assert_eq!(
            parse(&GOOD.replace("{kind: small-cnn, weights: ", "small-cnn #")).expect("no weights").weights,
            None
        );
    }

    #[test]
    fn mistakes_are_named() {
        refused("weights:", "wieghts:", "did you mean `weights`?");
        refused("path:", "pth:", "did you mean `path`?");
        refused("./w//a.pth", "../a.pth", "below the worker's data root");
        refused("a.pth", "a.onnx", "a .pt or .pth file of PyTorch");
        refused("15AD", "15A", "is not a SHA-256");
        refused(", sha256:", " } } #", "`sha256` is missing (what `sha256sum FILE` prints)");
        refused("downstream: {", "downstream: {block: 2, ", "supervised cells have no pretext stage");
    }
}
