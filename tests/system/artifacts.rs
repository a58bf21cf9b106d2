//! The artifact store: one set of promises for both homes, a directory and a bucket of a real S3 server.

use pretext_artifacts::{ArtifactError, ArtifactLimits, ArtifactOptions, Artifacts, AwsVariables, Location};
use pretext_shared::ids::{ArtifactId, ContentHash};
use pretext_tests::s3::{BUCKET, S3};
use pretext_tests::{Scratch, until};

/// The size of a part of a large upload.
const PART: usize = 8 << 20;
const MIB: usize = 1 << 20;

fn content(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes).map(|place| (place as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3] ^ seed).collect()
}

fn id(content: &[u8]) -> ArtifactId {
    ArtifactId(ContentHash::of(content))
}

/// Stores `content` as `artifact`, which may not be its hash.
async fn put_as(artifacts: &Artifacts, artifact: ArtifactId, content: &[u8]) -> Result<(), ArtifactError> {
    let mut incoming = artifacts.receive(artifact, content.len() as u64).await?;
    for piece in content.chunks(256 << 10) {
        incoming.write(piece).await?;
    }
    incoming.finish().await
}

async fn put(artifacts: &Artifacts, content: &[u8]) -> ArtifactId {
    put_as(artifacts, id(content), content).await.expect("room for it");
    id(content)
}

fn bucket(server: &S3, prefix: &str) -> ArtifactOptions {
    let place: Location = format!("s3://{BUCKET}/{prefix}").parse().expect("a bucket");
    let variables: AwsVariables = S3::variables(server.address).into_iter().collect();
    ArtifactOptions { place, variables, limits: ArtifactLimits::default() }
}

/// Checks the promises of every home. `unfinished` counts uploads that are neither done nor removed.
async fn conformance(options: &ArtifactOptions, unfinished: impl Fn() -> usize) {
    let artifacts = &Artifacts::open(options).await.expect("a home");
    artifacts.probe().await.expect("it can be written");
    artifacts.begin().await.expect("readable");
    assert_eq!(artifacts.list().await.expect("readable"), []);

    // Every size is stored whole: nothing, a little, exactly the parts of a large upload, and a little more.
    let sizes = [0, 5, PART, PART + 1, 2 * PART, 20 * MIB + 3];
    for (bytes, seed) in sizes.into_iter().zip(1..) {
        let content = content(bytes, seed);
        let artifact = put(artifacts, &content).await;
        assert!(artifacts.has(artifact).await.expect("readable"), "{bytes}");
        assert!(artifacts.read(artifact).await.expect("whole") == content, "{bytes}");
        let mut pieces = artifacts.pieces(artifact).await.expect("it is there");
        let mut length = 0;
        while let Some(piece) = pieces.next().await.expect("readable") {
            assert!(!piece.is_empty());
            length += piece.len();
        }
        assert_eq!(length, bytes);
    }
    let mut listed: Vec<u64> = artifacts.list().await.expect("readable").iter().map(|held| held.bytes).collect();
    listed.sort_unstable();
    assert_eq!(listed, sizes.map(|bytes| bytes as u64));
    assert!(artifacts.list().await.expect("readable").iter().all(|held| held.age.as_secs() < 600));

    // Storing twice is the same as once, even at the same time.
    let (small, large) = (content(1000, 40), content(PART + 7, 41));
    for _ in 0..2 {
        put(artifacts, &small).await;
    }
    let at_once = (0..3).flat_map(|_| [small.clone(), large.clone()]).map(|content| {
        let artifacts = artifacts.clone();
        tokio::spawn(async move { put_as(&artifacts, id(&content), &content).await })
    });
    for put in at_once.collect::<Vec<_>>() {
        put.await.expect("no panic").expect("the same content is no conflict");
    }
    assert_eq!(artifacts.list().await.expect("readable").len(), sizes.len() + 2);
    assert!(artifacts.read(id(&large)).await.expect("whole") == large);

    // Content that does not match its hash leaves nothing; nor does content of another length, or an abandoned upload.
    let before = artifacts.list().await.expect("readable").len();
    for bytes in [100, 2 * PART + 1] {
        let named = id(&content(bytes, 50));
        let wrong = put_as(artifacts, named, &content(bytes, 51)).await.expect_err("another content");
        assert!(matches!(wrong, ArtifactError::Mismatch { .. }), "{wrong}");
        assert!(!wrong.can_be_retried() && wrong.code() == "damaged");
        let mut short = artifacts.receive(named, bytes as u64 + 1).await.expect("room");
        short.write(&content(bytes, 50)).await.expect("so far so good");
        assert!(matches!(short.finish().await, Err(ArtifactError::Length { .. })));
        let mut long = artifacts.receive(named, bytes as u64 - 1).await.expect("room");
        assert!(matches!(long.write(&content(bytes, 50)).await, Err(ArtifactError::Length { .. })));
        let mut given_up = artifacts.receive(named, bytes as u64).await.expect("room");
        given_up.write(&content(bytes, 50)[1..]).await.expect("so far so good");
        drop((long, given_up));
        assert!(!artifacts.has(named).await.expect("readable"));
    }
    assert_eq!(artifacts.list().await.expect("readable").len(), before);
    tokio::task::block_in_place(|| until("nothing half done is left", || (unfinished() == 0).then_some(())));

    // A missing artifact is reported as missing, and so is a removed one.
    let absent = id(b"absent");
    assert!(!artifacts.has(absent).await.expect("readable"));
    assert!(matches!(artifacts.read(absent).await, Err(ArtifactError::Missing(missing)) if missing == absent));
    artifacts.remove(absent).await.expect("no error");
    artifacts.remove(id(&small)).await.expect("removed");
    assert!(!artifacts.has(id(&small)).await.expect("readable"));
    put(artifacts, &small).await;

    // A second coordinator has the same artifacts, and continues the count of the first.
    let used: u64 = artifacts.list().await.expect("readable").iter().map(|held| held.bytes).sum();
    let limits = ArtifactLimits { artifact: 1000, quota: Some(used + 1500) };
    let heir = Artifacts::open(&ArtifactOptions { limits, ..options.clone() }).await.expect("shared");
    heir.begin().await.expect("readable");
    assert!(heir.has(id(&large)).await.expect("readable"));
    let too_large = heir.receive(absent, 1001).await.expect_err("above the limit of one");
    assert!(too_large.to_string().contains("--artifact-limit"), "{too_large}");
    put(&heir, &content(1000, 60)).await;
    let half = heir.receive(absent, 400).await.expect("room for it");
    let full = heir.receive(absent, 101).await.expect_err("above the quota, with what is on its way");
    assert!(full.to_string().contains("coordinator gc"), "{full}");
    drop(half);
    put(&heir, &content(500, 61)).await;
    heir.receive(absent, 1).await.expect_err("it is full");
    heir.remove(id(&content(1000, 60))).await.expect("removed");
    heir.receive(absent, 1000).await.expect("there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_keeps_what_is_promised() {
    let folder = Scratch::new();
    let incoming = folder.path("artifacts/incoming");
    let unfinished = || std::fs::read_dir(&incoming).expect("a folder").count();
    conformance(&ArtifactOptions::in_folder(folder.path("artifacts")), unfinished).await;
    // The next coordinator removes what a killed process left; a standby does not.
    std::fs::write(incoming.join("left"), "half").expect("a writable folder");
    let next = Artifacts::open(&ArtifactOptions::in_folder(folder.path("artifacts"))).await.expect("writable");
    assert_eq!(unfinished(), 1);
    next.begin().await.expect("readable");
    assert_eq!(unfinished(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_keeps_what_is_promised() {
    let folder = Scratch::new();
    let server = S3::start(&folder);
    conformance(&bucket(&server, "runs/a"), || server.uploads()).await;
    // Everything is below the prefix, and nothing of another prefix is touched.
    assert!(
        server.keys().iter().all(|key| key.starts_with("runs/a/") && !key.contains("probe")),
        "{:?}",
        server.keys()
    );
    let other = Artifacts::open(&bucket(&server, "runs")).await.expect("the same bucket");
    assert_eq!(other.list().await.expect("readable"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_bucket_is_said_at_the_start() {
    let folder = Scratch::new();
    let mut server = S3::start(&folder);
    let good = bucket(&server, "a");
    let probed = async |options: &ArtifactOptions| {
        let artifacts = Artifacts::open(options).await?;
        artifacts.probe().await.map(|()| artifacts)
    };
    let refused = async |options: &ArtifactOptions| {
        let error = probed(options).await.expect_err("not a good home");
        (error.code(), error.to_string())
    };
    let absent = ArtifactOptions { place: "s3://absent/a".parse().expect("a bucket"), ..good.clone() };
    let (code, sentence) = refused(&absent).await;
    assert!(code == "bucket" && sentence.contains("cannot write to s3://absent/a: "), "{sentence}");
    assert!(sentence.contains("NoSuchBucket"), "{sentence}");

    // Credentials in a file are read again whenever they are needed.
    let file = folder.file("credentials", "[default]\naws_access_key_id = lab\n");
    let variables = S3::variables_with(server.address, &file);
    let in_file = ArtifactOptions { variables: variables.into_iter().collect(), ..good.clone() };
    let (code, sentence) = refused(&in_file).await;
    assert!(code == "settings" && sentence.contains("aws_secret_access_key below [default]"), "{sentence}");
    folder.file("credentials", "[default]\naws_access_key_id = lab\naws_secret_access_key = secret\n");
    let artifacts = probed(&in_file).await.expect("whole credentials");

    // If the server is away, the store waits for a while and then reports it.
    server.process.kill();
    let away = artifacts.has(id(b"any")).await.expect_err("nobody is there");
    assert!(away.can_be_retried() && away.to_string().contains("s3://lab/a: "), "{away}");
    assert!(away.to_string().contains("refused"), "{away}");
}
