//! Identifiers. Each has its own type, so that one cannot be passed for another.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The error for a text that is not the expected identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: {expected}")]
pub struct InvalidId {
    kind: &'static str,
    text: String,
    expected: &'static str,
}

/// The largest length of a name that a user chooses (sweep, learning-rate policy, worker).
pub const MAX_NAME: usize = 64;

/// Returns whether `text` may name a sweep, a policy or a worker: `[A-Za-z0-9._-]`, at most [`MAX_NAME`] characters, no
/// leading dot. Names become folder names, so no other characters are allowed.
pub fn is_valid_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// A 256-bit BLAKE3 content hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Returns the hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Returns the hash with these 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the first twelve hexadecimal digits: enough for a person to tell hashes apart.
    pub fn short(&self) -> String {
        self.to_hex()[..12].to_owned()
    }

    /// Returns its 64 hexadecimal digits. A submission writes several hashes for each stage, so this allocates nothing.
    fn to_hex(self) -> impl Deref<Target = str> {
        blake3::Hash::from_bytes(self.0).to_hex()
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl FromStr for ContentHash {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId { kind: "content hash", text: text.to_owned(), expected: "64 hexadecimal digits" };
        // A restart reads several hashes for each stage, so this avoids creating a string.
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        if text.len() != 64 {
            return Err(invalid());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0]).ok_or_else(invalid)? << 4 | digit(pair[1]).ok_or_else(invalid)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for ContentHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(HashText)
    }
}

struct HashText;

impl serde::de::Visitor<'_> for HashText {
    type Value = ContentHash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("64 hexadecimal digits")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ContentHash, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub ContentHash);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Ok(Self(text.parse()?))
            }
        }

        impl $name {
            /// Returns the first twelve hexadecimal digits.
            pub fn short(&self) -> String {
                self.0.short()
            }
        }
    };
}

hash_id! {
    /// Identifies a stage: the hash of everything that determines its output.
    StageId
}
hash_id! {
    /// Identifies an artifact by its content.
    ArtifactId
}
hash_id! {
    /// Identifies a data set's content: the hash of its manifest.
    Fingerprint
}

hash_id! {
    /// Identifies a file of weights by the SHA-256 of its bytes, which `sha256sum` prints and which published weights
    /// name.
    WeightsHash
}

/// Identifies a sweep by its name and the start of the hash of its resolved spec, `NAME-HASH8`. The same file is the
/// same sweep; a changed file is another. Clones share the text, because every stage has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SweepId(Arc<str>);

impl SweepId {
    /// Returns the id of the sweep `name` whose resolved spec has the hash `resolved`.
    pub fn new(name: &str, resolved: ContentHash) -> Self {
        Self(format!("{name}-{}", &resolved.to_string()[..8]).into())
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it is the id of a sweep with this name.
    pub fn is_named(&self, name: &str) -> bool {
        self.0.rsplit_once('-').is_some_and(|(own, _)| own == name)
    }
}

impl fmt::Display for SweepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SweepId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let valid = text.rsplit_once('-').is_some_and(|(name, hash)| {
            is_valid_name(name) && hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit())
        });
        if valid { Ok(Self(text.into())) } else { Err(InvalidId { kind: "sweep id", text, expected: "NAME-HASH8" }) }
    }
}

impl From<SweepId> for String {
    fn from(id: SweepId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl FromStr for SweepId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.to_owned().try_into()
    }
}

/// A worker: its name and the boot id of its daemon. A restarted daemon is another worker, so that it never inherits
/// the leases of its former run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerId {
    /// The name that the user chose, or the host's name.
    pub name: String,
    /// The boot id, drawn (UUIDv7) at each start of the daemon.
    pub boot: Uuid,
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.boot)
    }
}

/// The fencing number of an attempt. It only rises, and only a grant raises it.
///
/// The upper 40 bits count the grants of the stage. The lower [`Fence::MARK_BITS`] come from the granted request. If
/// the store was set back to an older state and grants again with the same count, the mark differs, so two holders
/// never have the same fence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub u64);

impl Fence {
    /// Width of the mark, in bits.
    pub const MARK_BITS: u32 = 24;

    /// Returns the fence of the next grant, for this request.
    pub fn next(self, request: &str) -> Self {
        let hash = ContentHash::of(request.as_bytes());
        let mark = hash.as_bytes().iter().take(3).fold(0, |mark, byte| mark << 8 | u64::from(*byte));
        Self((self.count() + 1) << Self::MARK_BITS | mark)
    }

    /// Returns the lowest fence with this count: it is below every grant after the first `count` of a stage. Counts
    /// larger than any clock reaches are cut, so that no fence overflows.
    pub fn of_count(count: u64) -> Self {
        Self(count.min(1 << 35) << Self::MARK_BITS)
    }

    /// Returns the number of grants so far.
    pub fn count(self) -> u64 {
        self.0 >> Self::MARK_BITS
    }

    /// Returns the lowest fence above all fences with this count.
    pub fn above(self) -> Self {
        Self((self.count() + 1) << Self::MARK_BITS)
    }

    /// Returns the fence that replaces this one when a person sets the store back to an older state: it is above every
    /// fence that may have been granted since.
    pub fn beyond_recall(self) -> Self {
        Self((self.count() + (1 << 20)) << Self::MARK_BITS)
    }
}

/// Shows the count and the mark: `4.1f03a2`.
impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06x}", self.count(), self.0 & ((1 << Self::MARK_BITS) - 1))
    }
}

/// One grant of a stage: every write by a worker carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The granted stage.
    pub stage: StageId,
    /// The fence of the grant.
    pub fence: Fence,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.stage.short(), self.fence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_64_hexadecimal_digits_and_nothing_else() {
        let hash = ContentHash::of(b"content");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        // Texts that a number parser accepts: signs, blanks, underscores, digits of other scripts, another length.
        for wrong in ["+f", "-f", " f", "f_", "g0", "٣"] {
            let text = wrong.repeat(64 / wrong.len());
            assert_eq!(text.len(), 64);
            assert!(text.parse::<ContentHash>().is_err(), "{text}");
        }
        assert!("".parse::<ContentHash>().is_err() && "0".repeat(63).parse::<ContentHash>().is_err());
    }
}
