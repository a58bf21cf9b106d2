//! Why an artifact could not be kept or read.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use pretext_shared::ids::ArtifactId;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The disk said no.
    #[error("cannot {action} {path}: {cause}", path = path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The bucket's server said no, or nothing.
    #[error("cannot {action} {place}: {}", reason(cause))]
    Bucket {
        /// What was tried.
        action: &'static str,
        /// On what.
        place: String,
        /// Why not.
        cause: Box<object_store::Error>,
    },
    /// A bucket cannot be reached as it is described.
    #[error("{0}")]
    Settings(String),
    /// The content is not what its name says.
    #[error("the content of artifact {} hashes to {}: it was damaged on the way", expected.short(), found.short())]
    Mismatch {
        /// The name.
        expected: ArtifactId,
        /// What the content hashes to.
        found: ArtifactId,
    },
    /// More or less came than was announced.
    #[error("{found} bytes came, the header says {announced}")]
    Length {
        /// What was announced.
        announced: u64,
        /// What came, so far as it was taken.
        found: u64,
    },
    /// It is not there.
    #[error("no artifact {}", .0.short())]
    Missing(ArtifactId),
    /// Larger than any artifact may be.
    #[error(
        "an artifact of {length} bytes is more than the {limit} that this coordinator takes: --artifact-limit of `serve`"
    )]
    TooLarge {
        /// Its length.
        length: u64,
        /// The most.
        limit: u64,
    },
    /// There is no room left.
    #[error(
        "the artifact store has {used} of its {quota} bytes, no room for {length} more: `coordinator gc` makes room, \
         --artifact-quota of `serve` is the limit"
    )]
    Full {
        /// The length of what came.
        length: u64,
        /// What is there, and what is on its way.
        used: u64,
        /// The most.
        quota: u64,
    },
}

impl ArtifactError {
    /// The class of the error, for logs and scripts.
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

    /// Whether the same again may be answered another way. A bucket that refuses may be mended without anybody who asks for
    /// artifacts knowing (a credential that was replaced, a server that came back); a full disk is told at once, for others
    /// have room.
    pub fn can_be_retried(&self) -> bool {
        matches!(self, ArtifactError::Bucket { .. })
    }
}

pub(super) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArtifactError {
    let path = path.to_owned();
    move |cause| ArtifactError::Disk { action, path, cause }
}

/// What a server said, or what happened on the way to it, without the layers of clients around it.
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
