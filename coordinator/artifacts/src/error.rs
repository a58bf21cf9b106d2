//! Errors of the artifact store.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use pretext_shared::ids::ArtifactId;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The disk failed.
    #[error("cannot {action} {path}: {cause}", path = path.display())]
    Disk {
        /// The failed action.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The bucket's server refused, or did not answer.
    #[error("cannot {action} {place}: {}", reason(cause))]
    Bucket {
        /// The failed action.
        action: &'static str,
        /// The artifact or the bucket.
        place: String,
        /// The cause.
        cause: Box<object_store::Error>,
    },
    /// The settings for the bucket are not usable.
    #[error("{0}")]
    Settings(String),
    /// The content does not match the artifact's name.
    #[error("the content of artifact {} has the hash {}: it was damaged on the way", expected.short(), found.short())]
    Mismatch {
        /// The name.
        expected: ArtifactId,
        /// The hash of the content.
        found: ArtifactId,
    },
    /// The content is longer or shorter than announced.
    #[error("{found} bytes arrived, the header announced {announced}")]
    Length {
        /// The announced length, in bytes.
        announced: u64,
        /// The bytes that arrived until the error.
        found: u64,
    },
    /// The artifact is not stored.
    #[error("there is no artifact {}", .0.short())]
    Missing(ArtifactId),
    /// The artifact is larger than the limit.
    #[error("an artifact of {length} bytes exceeds the limit of {limit}: `serve --artifact-limit` sets the limit")]
    TooLarge {
        /// Its length, in bytes.
        length: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The quota is exhausted.
    #[error(
        "the artifact store uses {used} of its {quota} bytes and has no room for {length} more: make room with `coordinator gc`, \
         or raise `serve --artifact-quota`"
    )]
    Full {
        /// The length of the refused artifact, in bytes.
        length: u64,
        /// Bytes of stored and announced artifacts.
        used: u64,
        /// The quota, in bytes.
        quota: u64,
    },
}

impl ArtifactError {
    /// Returns the class of the error, for logs and scripts.
    pub fn code(&self) -> &'static str {
        match self {
            ArtifactError::Disk { .. } => "disk",
            ArtifactError::Bucket { cause, .. } => match **cause {
                object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                    "bucket-denied"
                }
                _ => "bucket",
            },
            ArtifactError::Settings(_) => "settings",
            ArtifactError::Mismatch { .. } => "damaged",
            ArtifactError::Length { .. } => "length",
            ArtifactError::Missing(_) => "missing",
            ArtifactError::TooLarge { .. } => "too-large",
            ArtifactError::Full { .. } => "full",
        }
    }

    /// Returns whether a retry may succeed. A bucket may recover without the caller's knowledge (replaced credentials,
    /// a restarted server). A full disk is reported at once: the caller may find room elsewhere.
    pub fn can_be_retried(&self) -> bool {
        matches!(self, ArtifactError::Bucket { .. })
    }
}

pub(super) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArtifactError {
    let path = path.to_owned();
    move |cause| ArtifactError::Disk { action, path, cause }
}

/// Returns what the server answered, or what failed on the way to it, without the layers of the client.
fn reason(error: &object_store::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    let between = |open: &str, close: &str| {
        let rest = &text[text.find(open)? + open.len()..];
        Some(rest[..rest.find(close)?].to_owned())
    };
    match (between("<Code>", "</Code>"), between("<Message>", "</Message>")) {
        (Some(code), Some(message)) => format!("{message} ({code})"),
        (Some(code), None) => code,
        _ => pretext_shared::text::shorten(&pretext_shared::text::line(text.trim_end_matches([':', ' '])), 300),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_quoted_without_the_layers_around_it() {
        let body = "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?><Error>\
                    <Code>AccessDenied</Code><Message>Access Denied</Message><AWSAccessKeyId>k</AWSAccessKeyId></Error>";
        let cause = object_store::Error::PermissionDenied { path: "a".to_owned(), source: body.into() };
        let error = ArtifactError::Bucket { action: "write", place: "s3://b/a".to_owned(), cause: Box::new(cause) };
        assert_eq!(error.to_string(), "cannot write s3://b/a: Access Denied (AccessDenied)");
        assert_eq!((error.code(), error.can_be_retried()), ("bucket-denied", true));
    }
}
