//! A join token: names the authority to trust, and carries a secret for it.
//!
//! `PT1<SHA-256 of the authority's certificate>::<id>.<secret>`, all hexadecimal. The holder first checks the authority
//! against the hash, and only then sends the part after `::`.

use std::fmt;
use std::str::FromStr;

use crate::Pin;

const PREFIX: &str = "PT1";

/// A join token. `{:?}` does not show its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The authority that may see the credentials.
    pub pin: Pin,
    /// `<id>.<secret>`.
    pub credentials: String,
}

/// The error for a text that is not a join token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a join token: give the text that `coordinator token create` printed, PT1HASH::ID.SECRET")]
pub struct TokenError;

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}::{}", self.pin, self.credentials)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({PREFIX}{}::…)", self.pin)
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let (pin, credentials) =
            text.trim().strip_prefix(PREFIX).and_then(|rest| rest.split_once("::")).ok_or(TokenError)?;
        let (id, secret) = credentials.split_once('.').ok_or(TokenError)?;
        if unhex(id).is_none() || unhex(secret).is_none() {
            return Err(TokenError);
        }
        Ok(Self { pin: pin.parse().map_err(|()| TokenError)?, credentials: credentials.to_owned() })
    }
}

/// Decodes lower-case hexadecimal digits; `None` for other texts and for an empty text.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_hides_its_secret() {
        let token = JoinToken { pin: Pin::of(b"authority"), credentials: "00ff.abcd".to_owned() };
        assert_eq!(format!(" {token}\n").parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains("abcd"));
        let text = token.to_string();
        for bad in ["", "PT1", "00ff.abcd", &text[3..], &text.replace("::", ":"), &text.replace('.', ""), &text[..20]] {
            assert_eq!(bad.parse::<JoinToken>(), Err(TokenError), "{bad}");
        }
    }
}
