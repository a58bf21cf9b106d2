//! The named cases: hostile inputs made by hand, each run alone with its own memory limit.

use super::Kind;
use super::checkpoint::Form;
use super::guard::Guard;
use super::mutate::varint;
use super::pictures::encoded;
use super::requests::{frame, frames, message};
use super::sweep::EXAMPLES;
use super::target::Fate;
use image::{GrayImage, ImageFormat, RgbImage};

const MIB: usize = 1 << 20;

struct Case {
    name: &'static str,
    kind: Kind,
    input: Vec<u8>,
    /// Memory limit, if it differs from the target's.
    bound: Option<usize>,
    expected: Fate,
}

fn refused(name: &'static str, kind: Kind, input: impl Into<Vec<u8>>) -> Case {
    Case { name, kind, input: input.into(), bound: None, expected: Fate::Refused }
}

/// Runs all cases, and returns a row for each.
pub(crate) fn run(guard: &Guard) -> Vec<String> {
    println!("| bomb | bytes | became | memory | bound |\n|---|---|---|---|---|");
    let mut violations = Vec::new();
    for case in [sweeps(), requests(), checkpoints(), pictures(), records()].into_iter().flatten() {
        let mut target = case.kind.target();
        let bound = case.bound.unwrap_or(target.bound());
        let seen = guard.feed(target.as_mut(), &case.input, bound);
        let became = match seen.fate {
            Ok(fate) if fate == case.expected => format!("{fate:?}").to_lowercase(),
            other => {
                violations.push(format!("{}: {other:?}", case.name));
                "violation".to_owned()
            }
        };
        let (bytes, memory) = (case.input.len(), seen.memory.div_ceil(MIB));
        println!("| {} | {bytes} | {became} | {memory} MiB | {} MiB |", case.name, bound / MIB);
    }
    violations
}

fn sweeps() -> Vec<Case> {
    let refused = |name, text: String| refused(name, Kind::Sweep, text);
    let laughs: String = (1..10)
        .map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", ")))
        .fold("a0: &a0 [lol]\n".to_owned(), |all, line| all + &line);
    let quadratic = format!("a: &a [{}]\nb: [{}]\n", vec!["x"; 10_000].join(","), vec!["*a"; 10_000].join(","));
    let good = EXAMPLES[0];
    let seeds = |count: u64| (0..count).map(|seed| seed.to_string()).collect::<Vec<_>>().join(",");
    let with = |line: &str| format!("{good}\n{line}\n");
    vec![
        refused("YAML: billion laughs", laughs),
        refused("YAML: one anchor, 10,000 aliases", quadratic),
        refused("YAML: an alias of itself", "a: &a [*a]".to_owned()),
        refused("YAML: 100,000 flow lists in each other", "[".repeat(100_000)),
        refused("YAML: 100,000 flow mappings in each other", "{a: ".repeat(100_000)),
        refused("YAML: 1,000 block lists in each other", "- ".repeat(1_000)),
        refused("YAML: 700 levels of indentation", (0..700).map(|n| " ".repeat(n) + "a:\n").collect()),
        refused("YAML: 64 MiB", "a".repeat(64 << 20)),
        refused("YAML: a key of 1 MiB", "k".repeat((1 << 20) - 3) + ": 1"),
        refused("YAML: 100,000 unknown keys", (0..100_000).map(|n| format!("k{n}: 1\n")).collect()),
        refused("YAML: 50,000 documents", "---\na: 1\n".repeat(50_000)),
        refused("YAML: a number of 100,000 digits", with(&format!("max_parallel: {}", "9".repeat(100_000)))),
        refused("YAML: 1e999999", with("max_parallel: 1e999999")),
        refused("YAML: merge keys", "a: &a {b: 1}\n<<: *a\n".to_owned()),
        refused(
            "sweep: 60,000 seeds and 60,000 fractions",
            format!("seeds: [{}]\nfractions: [{}]\n", seeds(60_000), seeds(60_000)),
        ),
        refused("sweep: one seed too many", format!("{}\nseeds: [{}]", good.replace("seeds:", "#"), seeds(100_001))),
    ]
}

/// Returns a length-delimited field that claims `length` bytes.
fn claims(field: u8, length: u64) -> Vec<u8> {
    [vec![field << 3 | 2], varint(length)].concat()
}

fn requests() -> Vec<Case> {
    let refused = |name, input: Vec<u8>| refused(name, Kind::Requests, input);
    let large = |name, input| Case { bound: Some(512 * MIB), ..refused(name, input) };
    // As many as fit into a worker's message of 2 MiB.
    let empty = |field: u8| [field << 3 | 2, 0].repeat(1 << 20);
    let plan = |spec: &[u8]| message("Sweeps/Plan", &[claims(1, spec.len() as u64), spec.to_vec()].concat());
    let study = "name: most\nnumeric: cpu\ndataset: {kind: procedural, train_per_class: 40, test_per_class: 10, seed: 0, \
                 image_size: 16}\nencoder: {kind: small-cnn, width: 4, blocks: 1}\nmethods: [supervised]\n\
                 fractions: [50%]\nlr: {fixed: {kind: constant, base: 0.003}}\ndownstream: {epochs: 1, batch: 8}\n";
    let most = format!("{study}seeds: [{}]", (0..100_000).map(|seed| seed.to_string()).collect::<Vec<_>>().join(","));
    vec![
        refused("protobuf: a string of 2^63 bytes", message("Sweeps/Submit", &claims(1, 1 << 63))),
        refused("protobuf: a string of 2^31 bytes", message("Sweeps/Submit", &claims(1, 1 << 31))),
        refused("protobuf: a message of 2^40 bytes in another", message("Work/Heartbeat", &claims(1, 1 << 40))),
        refused("protobuf: a number of 11 bytes", message("Work/Lease", &[vec![0x18], vec![0xff; 11]].concat())),
        refused("protobuf: 2^20 groups in each other", message("Work/Lease", &vec![0x7b; 1 << 20])),
        refused("protobuf: wire type 7", message("Work/Lease", &[0x0f])),
        refused("protobuf: no UTF-8", message("Sweeps/Submit", &[claims(1, 2), vec![0xff, 0xfe]].concat())),
        large("protobuf: 2^20 empty data sets", message("Work/Register", &empty(5)[..(2 << 20) - 8])),
        large("protobuf: 2^20 empty points", message("Work/Points", &empty(3)[..(2 << 20) - 8])),
        refused("gRPC: a frame of 4 GiB", frames("Sweeps/Plan", &[0, 0xff, 0xff, 0xff, 0xff])),
        refused("gRPC: a frame that is compressed", frames("Sweeps/Plan", &[1, 0, 0, 0, 0])),
        refused("gRPC: a frame that ends early", frames("Sweeps/Plan", &[0, 0, 0, 1, 0, 0])),
        refused("gRPC: two requests where one belongs", frames("Sweeps/Plan", &frame(&[0x0a, 0x00]).repeat(2))),
        refused("request: a sweep that is a bomb", plan("[".repeat(1 << 20).as_bytes())),
        Case {
            bound: Some(1024 * MIB),
            expected: Fate::Taken,
            ..refused("request: a plan of 100,000 cells", plan(most.as_bytes()))
        },
    ]
}

fn checkpoints() -> Vec<Case> {
    let case =
        |name, form: Form, content: Vec<u8>| refused(name, Kind::Checkpoint, [vec![form as u8], content].concat());
    let hash = "0".repeat(64);
    let section = |bytes: &str| format!(r#"{{"name":"model","bytes":{bytes},"hash":"{hash}"}}"#);
    let manifest = |sections: &str| format!(r#"{{"kind":"checkpoint","sections":[{sections}]}}"#).into_bytes();
    let whole = super::checkpoint::Files::new().whole();
    let mut lengths = whole.clone();
    lengths[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    vec![
        case("checkpoint: cut in the middle", Form::Raw, whole[..whole.len() / 2].to_vec()),
        case("checkpoint: without its last byte", Form::Raw, whole[..whole.len() - 1].to_vec()),
        case("checkpoint: a manifest of 4 GiB", Form::Raw, lengths),
        case("checkpoint: a ZIP archive", Form::Raw, [b"PK\x03\x04".to_vec(), vec![0; 4096]].concat()),
        case("manifest: a section of 2^64 - 1 bytes", Form::Manifest, manifest(&section("18446744073709551615"))),
        case(
            "manifest: sections whose sum overflows",
            Form::Manifest,
            manifest(&[section("18446744073709551615"), section("1")].join(",")),
        ),
        case("manifest: a section of 2^65 bytes", Form::Manifest, manifest(&section("36893488147419103232"))),
        case("manifest: a section of 1e300 bytes", Form::Manifest, manifest(&section("1e300"))),
        case("manifest: 5,000 empty sections", Form::Manifest, manifest(&vec![section("0"); 5_000].join(","))),
        case("manifest: 100,000 lists in each other", Form::Manifest, vec![b'['; 100_000]),
        case("position: 100,000 objects in each other", Form::Position, br#"{"a":"#.repeat(100_000)),
        case(
            "points: a value of 1e999",
            Form::Points,
            br#"[{"part":"train","metric":"loss","epoch":1,"step":1,"value":1e999}]"#.to_vec(),
        ),
    ]
}

/// Returns the zlib stream of a PNG file's pixels.
fn pixels_of(png: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut at = 8;
    while let Some(head) = png.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if &head[4..] == b"IDAT" {
            stream.extend_from_slice(&png[at + 8..at + 8 + length]);
        }
        at += 12 + length;
    }
    stream
}

/// Returns a chunk of a PNG file.
fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let checked = [&kind[..], content].concat();
    [&(content.len() as u32).to_be_bytes()[..], &checked, &crc(&checked).to_be_bytes()].concat()
}

/// Returns the checksum of PNG (ISO 3309).
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// Returns a PNG file that claims this size, with these chunks after its header.
fn png(width: u32, height: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = chunk(b"IHDR", &[size, vec![8, 2, 0, 0, 0]].concat());
    [b"\x89PNG\r\n\x1a\n".to_vec(), header, chunks.concat(), chunk(b"IEND", &[])].concat()
}

/// Returns a JPEG file whose frame claims this size; `marker` is the frame's marker.
fn jpeg(width: u16, height: u16, marker: u8) -> Vec<u8> {
    let mut file = encoded(RgbImage::new(16, 16), ImageFormat::Jpeg);
    let frame = file.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a baseline file");
    file[frame + 1] = marker;
    file[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    file[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    file
}

fn pictures() -> Vec<Case> {
    let refused = |name, input: Vec<u8>| refused(name, Kind::Pictures, input);
    let bomb = encoded(GrayImage::new(16_384, 16_384), ImageFormat::Png);
    let inflated = pixels_of(&bomb);
    let idat = |stream: &[u8]| chunk(b"IDAT", stream);
    let named = |stream: &[u8]| [b"profile\0\0".to_vec(), stream.to_vec()].concat();
    let small = encoded(RgbImage::new(4, 4), ImageFormat::Png);
    let pixel = idat(&pixels_of(&small));
    vec![
        refused("PNG: 16,384 × 16,384 grey pixels", bomb),
        refused("PNG: 2^31 × 2^31 pixels", png(1 << 31, 1 << 31, &[idat(&inflated)])),
        refused("PNG: 16,384 × 16,384 pixels, none of them there", png(16_384, 16_384, &[])),
        refused("PNG: 4 × 4 pixels, of which nine bytes are there", png(4, 4, &[idat(&inflated[..9])])),
        Case {
            expected: Fate::Taken,
            ..refused(
                "PNG: a colour profile of 256 MiB",
                png(4, 4, &[chunk(b"iCCP", &named(&inflated)), pixel.clone()]),
            )
        },
        Case {
            expected: Fate::Taken,
            ..refused("PNG: a text of 256 MiB", png(4, 4, &[chunk(b"zTXt", &named(&inflated)), pixel]))
        },
        refused("PNG: a chunk of 4 GiB", [png(4, 4, &[])[..33].to_vec(), b"\xff\xff\xff\xffIDAT".to_vec()].concat()),
        refused("JPEG: 65,535 × 65,535 pixels", jpeg(65_535, 65_535, 0xc0)),
        refused("JPEG: 16,384 × 16,384 pixels", jpeg(16_384, 16_384, 0xc0)),
        refused("JPEG: 16,384 × 16,384 pixels, progressive", jpeg(16_384, 16_384, 0xc2)),
        refused("JPEG: 9,000 × 9,000 pixels, progressive", jpeg(9_000, 9_000, 0xc2)),
        refused("JPEG: no pixels", jpeg(0, 0, 0xc0)),
        refused("JPEG: an end and nothing before it", b"\xff\xd8\xff\xd9".to_vec()),
        refused("picture: a ZIP archive", [b"PK\x03\x04".to_vec(), vec![0; 4096]].concat()),
        refused("picture: a gzip stream", b"\x1f\x8b\x08\0\0\0\0\0".to_vec()),
    ]
}

fn records() -> Vec<Case> {
    let idx = |dimensions: [u32; 3], content: usize| {
        let head = [0x0803, dimensions[0], dimensions[1], dimensions[2]].map(u32::to_be_bytes).concat();
        [vec![0], head, vec![0; content]].concat()
    };
    let refused = |name, input: Vec<u8>| refused(name, Kind::Records, input);
    vec![
        refused("IDX: 2^96 bytes of pixels", idx([u32::MAX; 3], 16)),
        refused("IDX: a product that is 0 in 64 bits", idx([1 << 31, 1 << 31, 4], 0)),
        refused("IDX: pictures without pixels", idx([3, 0, 0], 0)),
        refused("IDX: no pictures", idx([0, 4, 4], 0)),
        refused("IDX: cut in its header", vec![0, 0, 0, 8]),
        refused("IDX: a gzip stream", b"\0\x1f\x8b\x08\0\0\0\0\0".to_vec()),
        refused("CIFAR: cut in a record", [vec![4], vec![0; 5000]].concat()),
        refused("CIFAR: nothing", vec![4]),
    ]
}
