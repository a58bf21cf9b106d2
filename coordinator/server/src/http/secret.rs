//! Secrets of links and sessions: 256 random bits, kept as hashes.

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// The system has no randomness: nobody can be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system has no randomness")]
pub struct NoRandomness;

/// A secret as its holder has it: 64 hexadecimal digits. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

/// What is kept of a secret. Whoever reads it cannot get in with it. With this many random bits a fast hash is as good
/// as a slow one, and looking a hash up tells nothing of use about the secret by the time it takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Hashed(String);

impl Secret {
    /// A new one.
    pub(super) fn draw() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(hex(&bytes)))
    }

    /// What a caller presents, if it has the form of a secret.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        (text.len() == 64 && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// As its holder writes it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub(super) fn hashed(&self) -> Hashed {
        Hashed(hex(digest(&SHA256, self.0.as_bytes()).as_ref()))
    }
}

impl Hashed {
    /// 64 hexadecimal digits: fit for a file's name.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_a_secret_is_looked_up() {
        let secret = Secret::draw().expect("randomness");
        assert_eq!(Secret::parse(secret.as_str()), Some(secret.clone()));
        assert_ne!(secret.hashed().as_str(), secret.as_str());
        assert_ne!(secret, Secret::draw().expect("randomness"));
        let long = "a".repeat(65);
        for text in ["", "../../etc/passwd", &long, &"A".repeat(64), &"%2".repeat(32), &"/".repeat(64)] {
            assert_eq!(Secret::parse(text), None, "{text}");
        }
    }
}
