//! Tests of lists of image files.

use std::fs;

use pretext_shared::dataset::Source;

use super::*;
use crate::image_folder::tests::write_png;
use crate::{Manifest, scan};

fn set(images: &[&str], list: &str, text: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a temporary folder");
    (1u8..).zip(images).for_each(|(value, path)| write_png(&root.path().join("set").join(path), [value; 3]));
    fs::write(root.path().join("set").join(list), text).expect("a file");
    root
}

fn scanned(root: &tempfile::TempDir, key: &str) -> Result<Manifest, DataError> {
    scan(root.path(), &key.parse::<Source>().expect("a key"), None)
}

#[test]
fn parts_groups_and_order_come_from_the_columns() {
    let text = "\u{feff}Path;age;LABEL;split;group\n./z.png;3;dog;train;p1\na/b.png;4;cat;TRAIN;p2\n\
                \"x;y.png\";5;dog;Testing;p3\nv.png;6;cat;val;p4\n";
    let root = set(&["z.png", "a/b.png", "x;y.png", "v.png"], "labels.csv", text);
    for key in ["list:set", "list:set/labels.csv"] {
        let manifest = scanned(&root, key).expect("a whole list");
        assert_eq!(manifest.facts.classes, ["cat", "dog"]);
        assert_eq!((&manifest.facts.train[..], &manifest.facts.validation[..]), (&[1, 1][..], &[1, 0][..]));
        assert_eq!(manifest.facts.test, [0, 1]);
        assert_eq!(manifest.path_of(crate::Part::Train, 0), "a/b.png");
        assert_eq!(manifest.facts.groups, [vec![0, 1], vec![1, 0], vec![0, 0], vec![0, 0]]);
        let notes: Vec<String> = manifest.facts.notes.iter().map(ToString::to_string).collect();
        assert!(notes.contains(&"columns that are not read: age".to_owned()), "{notes:?}");
        assert!(notes.contains(&"class `cat` has no test images".to_owned()), "{notes:?}");
    }
    // The same lines in another order and format are the same data.
    let other = "label\tpath\tgroup\tsplit\ncat\tv.png\tp4\tvalid\ndog\tx;y.png\tp3\ttest\ndog\tz.png\tp1\ttrain\ncat\ta/b.png\tp2\ttrain\n";
    let again = set(&["z.png", "a/b.png", "x;y.png", "v.png"], "list.tsv", other);
    let fingerprint = |root, key| scanned(root, key).expect("a whole list").facts.fingerprint;
    assert_eq!(fingerprint(&again, "list:set"), fingerprint(&root, "list:set"));
}

#[test]
fn mistakes_are_named_with_their_line() {
    let refused = |text: &str| {
        let root = set(&["a.png", "b.png", "c.png"], "labels.csv", text);
        scanned(&root, "list:set").expect_err("a mistake").to_string()
    };
    assert!(refused("file,class\na.png,x\n").contains("expected `path,label`"));
    assert!(refused("path,label\na.png,x\nb.png,\n").contains("line 3: the label is empty"));
    assert!(refused("path,label\na.png,x\n../b.png,y\n").contains("line 3: `../b.png` is refused"));
    assert!(refused("path,label\n/etc/passwd,y\n").contains("relative to the list's folder"));
    assert!(refused("path,label\na.png,x\nb.png,y\na.png,x\n").contains("line 4: a.png is on line 2 already"));
    assert!(refused("path,label,split\na.png,x,fold1\n").contains("line 2: the split is `fold1`"));
    assert!(refused("path,label,group\na.png,x,\n").contains("line 2: the group is empty"));
    assert!(refused("path,label\na.png,x\nb.png,y,z\n").contains("line: 3"));
    assert!(refused("path,label\na.png,x\nsub\\b.png,y\n").contains("write `/` instead of"));
    let composed = set(&["a.png", "\u{e9}.png"], "labels.csv", "path,label\na.png,x\ne\u{301}.png,y\n");
    let error = scanned(&composed, "list:set").expect_err("another name").to_string();
    assert!(error.contains("another Unicode form"), "{error}");
    let missing = refused("path,label\na.png,x\nno.png,y\nnor.png,y\n");
    assert!(missing.contains("no.png (line 3), nor.png (line 4)"), "{missing}");
    assert!(refused("path,label,split\na.png,x,train\nb.png,y,train\nc.png,X,test\n").contains("case only"));
    let leak = refused("path,label,split,group\na.png,x,train,p\nb.png,y,train,q\nc.png,x,val,p\n");
    assert!(leak.contains("group `p` has training and validation images"), "{leak}");
    assert!(refused("").contains("expected `path,label`"));
    let root = set(&["a.png"], "labels.csv", "path,label\n");
    fs::write(root.path().join("set/list.csv"), "path,label\n").expect("a file");
    assert!(scanned(&root, "list:set").expect_err("two lists").to_string().contains("labels.csv, list.csv"));
}

#[test]
fn a_fraction_takes_whole_groups_beside_a_validation_part() {
    use pretext_shared::dataset::{DataSpec, Normalize};
    use pretext_shared::split::{Fraction, SplitSpec};

    // Two groups of two training images in each class, and a validation and a test image of each class.
    let mut text = "path,label,split,group\n".to_owned();
    let mut names = Vec::new();
    for class in ["a", "b"] {
        for n in 0..4 {
            names.push(format!("{class}{n}.png"));
            text += &format!("{class}{n}.png,{class},train,{class}{}\n", n / 2);
        }
        for part in ["val", "test"] {
            names.push(format!("{class}{part}.png"));
            text += &format!("{class}{part}.png,{class},{part},{part}\n");
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let root = set(&names, "labels.csv", &text);
    let manifest = scanned(&root, "list:set").expect("a whole list");
    assert_eq!((&manifest.facts.train[..], &manifest.facts.validation[..]), (&[4, 4][..], &[1, 1][..]));
    let spec = DataSpec {
        fingerprint: manifest.facts.fingerprint,
        classes: 2,
        image_size: 4,
        normalize: Normalize::Train,
        test_fraction: None,
        fit: pretext_shared::dataset::Fit::default(),
    };
    let source = "list:set".parse::<Source>().expect("a key");
    let data = crate::Dataset::load(root.path(), &source, &spec, None).expect("whole images");
    for seed in 0..8 {
        let half = SplitSpec { seed, fraction: "50%".parse().expect("a fraction") };
        let split = data.train.split(half).expect("enough groups");
        assert_eq!((split.train.len(), split.validation.clone()), (4, vec![8, 9]));
        let groups: std::collections::BTreeSet<_> = split.train.iter().map(|id| data.train.group_of(*id)).collect();
        assert_eq!(groups.len(), 2, "whole groups");
        let all = data.train.split(SplitSpec { seed, fraction: Fraction::ALL }).expect("enough groups");
        assert_eq!((all.train, all.validation), ((0..8).collect(), vec![8, 9]));
    }
}
