//! Secrets of links and sessions: 256 random bits, stored only as hashes.

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// The system provides no random numbers: nobody can log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system provides no random numbers")]
pub struct NoRandomness;

/// A secret as its holder has it: 64 hexadecimal digits. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

/// The stored hash of a secret. A reader of the hash cannot log in with it. With this many random bits a fast hash is
/// as safe as a slow one, and the time of a hash lookup reveals nothing useful about the secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Hashed(String);

impl Secret {
    /// Returns a new secret.
    pub(super) fn draw() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(hex(&bytes)))
    }

    /// Parses what a caller presents, if it has the form of a secret.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        (text.len() == 64 && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// Returns the secret as text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the hash to store.
    pub(super) fn hashed(&self) -> Hashed {
        Hashed(hex(digest(&SHA256, self.0.as_bytes()).as_ref()))
    }
}

impl Hashed {
    /// Returns the hash as 64 hexadecimal digits, which can be a file's name.
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
