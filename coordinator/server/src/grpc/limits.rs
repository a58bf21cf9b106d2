//! The limits of the gRPC interface: the most that a caller may cost. `docs/limits.md` lists them for people.

use std::time::Duration;

/// Size of the largest message that is accepted from a person: a sweep file fits easily.
pub const MAX_MESSAGE: usize = 4 << 20;
/// Size of the largest message that is accepted from a worker: point batches and pieces of artifacts and data sets fit
/// easily. A message full of the smallest possible elements stays below half a GiB after decoding.
pub const MAX_WORK_MESSAGE: usize = 2 << 20;
/// Size of the largest accepted sweep file.
pub const MAX_SPEC: usize = 1 << 20;
/// Most artifacts that one request may name.
pub const MAX_ASKED: usize = 10_000;
/// Most simultaneous calls on one connection.
pub const MAX_STREAMS: u32 = 1024;
/// Most bytes in a call's headers.
pub const MAX_HEADERS: u32 = 16 << 10;
/// Most streams that are reset before they were accepted; after that the connection is closed ("rapid reset").
pub const MAX_RESETS: usize = 64;
/// Time of silence after which a connection is probed, and time limit for its answer.
pub const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// Age at which a connection with TLS is asked to close, so that the next one uses the newest certificate.
pub const CONNECTION_AGE: Duration = Duration::from_secs(3600);
/// Longest silence of an upload: a silent upload keeps others waiting.
pub const UPLOAD_SILENCE: Duration = Duration::from_secs(60);
/// Most large answers (views, backups, verifications) that are made at a time.
pub const LARGE_ANSWERS: usize = 16;
/// Most of them for one identity. Without TLS, all callers have one identity.
pub const LARGE_ANSWERS_OF_ONE: usize = 8;
/// Longest time that a caller waits for its turn.
pub const TURN: Duration = Duration::from_secs(20);
/// Longest time in which a reader may take nothing of a large answer.
pub const READER_SILENCE: Duration = Duration::from_secs(30);
