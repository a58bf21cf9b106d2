//! The message descriptors: lists all messages, and makes bytes that may be one of them.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use pretext_shared::ids::ContentHash;
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// Words for any field, suitable or not.
const WORDS: &[&str] = &[
    "",
    "a",
    "1",
    "cpu",
    "loss",
    "worker",
    "0190a0a0-0000-7000-8000-000000000001",
    "image-folder:set",
    "../..",
    "{}",
    "null",
    "[",
    "\u{0}",
    "\u{202e}",
    "a\nb",
    "Ünïcödé",
    "\u{1b}[2J",
];
/// Largest number of repetitions of a field, more than any program sends.
const MANY: usize = 300;

/// All messages of the wire, by full name.
pub(crate) struct Schema {
    messages: BTreeMap<String, DescriptorProto>,
    /// The messages that the services take and return.
    roots: BTreeSet<String>,
}

impl Schema {
    /// Returns the messages of this build.
    pub(crate) fn new() -> Self {
        let files = FileDescriptorSet::decode(pretext_proto::DESCRIPTORS).expect("whole descriptors");
        let (mut messages, mut roots) = (BTreeMap::new(), BTreeSet::new());
        for file in files.file {
            let package = file.package().to_owned();
            for message in file.message_type {
                add(&mut messages, &package, message);
            }
            for method in file.service.iter().flat_map(|service| &service.method) {
                roots.extend([method.input_type(), method.output_type()].map(local));
            }
        }
        Self { messages, roots }
    }

    /// Returns every message in a request or an answer. Entries of maps count as fields of their message.
    pub(crate) fn reachable(&self) -> BTreeSet<String> {
        let (mut found, mut open) = (BTreeSet::new(), self.roots.iter().cloned().collect::<Vec<_>>());
        while let Some(name) = open.pop() {
            if found.insert(name.clone()) {
                let fields = self.message(&name).field.iter();
                open.extend(fields.filter(|field| field.r#type() == Type::Message).map(type_of));
            }
        }
        found.retain(|name| !is_entry(self.message(name)));
        found
    }

    fn message(&self, name: &str) -> &DescriptorProto {
        self.messages.get(name).unwrap_or_else(|| panic!("no message {name}"))
    }

    /// Returns bytes that decode as `name`, with arbitrary fields: some missing, some absurd.
    pub(crate) fn bytes(&self, name: &str, random: &mut Rng) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in &self.message(name).field {
            let times = match (field.label(), random.u8(..)) {
                (_, 0..32) => 0,
                (Label::Repeated, 255) => MANY,
                (Label::Repeated, _) => random.usize(0..4),
                // A repeated occurrence: the last one counts, and submessages are merged.
                (_, 255) => 2,
                _ => 1,
            };
            for _ in 0..times {
                self.field(field, random, &mut bytes);
            }
        }
        if random.u8(..) == 0 {
            // A field of a later version.
            key(900, 0, &mut bytes);
            varint(7, &mut bytes);
        }
        bytes
    }

    fn field(&self, field: &FieldDescriptorProto, random: &mut Rng, bytes: &mut Vec<u8>) {
        let number = u64::try_from(field.number()).expect("field numbers are positive");
        let long = match field.r#type() {
            Type::Message => self.bytes(&type_of(field), random),
            Type::String => text(field.name(), random).into_bytes(),
            Type::Bytes => (0..random.usize(0..40)).map(|_| random.u8(..)).collect(),
            Type::Double => {
                key(number, 1, bytes);
                return bytes.extend(double(random).to_le_bytes());
            }
            _ => {
                key(number, 0, bytes);
                return varint(integer(random), bytes);
            }
        };
        key(number, 2, bytes);
        varint(long.len() as u64, bytes);
        bytes.extend(long);
    }
}

fn add(messages: &mut BTreeMap<String, DescriptorProto>, scope: &str, message: DescriptorProto) {
    let name = format!("{scope}.{}", message.name());
    for nested in &message.nested_type {
        add(messages, &name, nested.clone());
    }
    messages.insert(name, message);
}

fn local(name: &str) -> String {
    name.trim_start_matches('.').to_owned()
}

fn type_of(field: &FieldDescriptorProto) -> String {
    local(field.type_name())
}

fn is_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

fn key(number: u64, wire: u64, bytes: &mut Vec<u8>) {
    varint(number << 3 | wire, bytes);
}

fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn integer(random: &mut Rng) -> u64 {
    let any = random.u64(..);
    // As a number of an enum: unknown and negative ones too.
    *random.choice(&[0, 1, 2, 3, 4, any % 100, u64::from(u32::MAX), u64::MAX, any]).expect("some")
}

fn double(random: &mut Rng) -> f64 {
    let any = f64::from_bits(random.u64(..));
    *random
        .choice(&[0.0, -0.0, 0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE / 2.0, any])
        .expect("some")
}

fn text(field: &str, random: &mut Rng) -> String {
    match random.u8(..) {
        0..180 => match fitting(field) {
            [] => ContentHash::of(&[random.u8(..)]).to_string(),
            words => (*random.choice(words).expect("some")).to_owned(),
        },
        180..186 => "+f".repeat(32),
        186..192 => "é".repeat(32),
        192..194 => "x".repeat(100_000),
        194..204 => std::iter::repeat_with(|| random.char(..)).take(20).collect(),
        _ => (*random.choice(WORDS).expect("some")).to_owned(),
    }
}

/// Returns the values that suit a field of this name; a hash if there are none.
fn fitting(field: &str) -> &'static [&'static str] {
    match field {
        "numeric_class" => &["cpu", "gpu"],
        "part" => &["train", "validation", "test"],
        "metric" => &["loss", "accuracy", "step-loss", "learning-rate", "knn-accuracy"],
        "kind" => &["model", "predictions", "split", "checkpoint"],
        "code" => &[
            "diverged",
            "data",
            "data-copy",
            "invalid",
            "out-of-memory",
            "device",
            "crashed",
            "storage",
            "lost",
            "rolled-back",
        ],
        "role" => &["worker", "submit", "read", ""],
        "boot" => &["0190a0a0-0000-7000-8000-000000000001", "{0190a0a0-0000-7000-8000-000000000001}"],
        "name" => &["worker-1", "a.b_c", ".hidden", ""],
        "key" => &["class", "slotsPerWorker", "scaleDown", "scalerAddress"],
        "value" => &["cpu", "gpu", "1", "8", "0", "1025", "drained", "eager"],
        "problem" | "refused" => &["", "a sentence"],
        "stage_json" => &[STAGE],
        "source_json" => &[r#"{"kind":"cifar10","path":"x"}"#, r#"{"kind":"idx"}"#],
        "checkpoint_json" => &[r#"{"every_seconds":30.0,"keep":2}"#, r#"{"every_seconds":null,"keep":-1}"#],
        "result_json" => &[RESULT, r#"{"selected_epoch":1,"score":{"loss":1e999}}"#],
        "verification_json" => &[VERIFICATION],
        _ => &[],
    }
}

const STAGE: &str = r#"{"spec":{"stage":"test","data":{"fingerprint":"00000000000000000000000000000000000000000000000000000000000000ff","classes":3,"image_size":16,"normalize":{"from":"train"}},"encoder":{"kind":"small-cnn","width":4,"blocks":1},"downstream":"00000000000000000000000000000000000000000000000000000000000000fe"},"class":"cpu","extent":"whole"}"#;
const RESULT: &str = r#"{"selected_epoch":1,"score":{"loss":0.5,"accuracy":0.5,"seen":2},"steps":1,"images":2,"artifacts":{},"device":"cpu","seconds":1.0}"#;
const VERIFICATION: &str = r#"{"sweep":"s","invariants":["I1"],"checked":{"cells":1,"stages":2,"attempts":3,"points":4,"artifacts":5},"lost":0,"doubled":0,"findings":[]}"#;
