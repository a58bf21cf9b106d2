//! Reads credentials from a file in the usual AWS format, which `AWS_SHARED_CREDENTIALS_FILE` names. The file is read
//! again for every request, so a replaced file needs no restart.
//!
//! ```text
//! [default]
//! aws_access_key_id = …
//! aws_secret_access_key = …
//! aws_session_token = …
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use object_store::aws::AwsCredential;
use object_store::client::CredentialProvider;

use super::ArtifactError;
use super::error::disk;

/// See the module.
#[derive(Debug)]
pub(super) struct CredentialsFile {
    pub(super) path: PathBuf,
    /// The section of the file.
    pub(super) profile: String,
}

impl CredentialsFile {
    /// Returns the present content of the file.
    pub(super) async fn read(&self) -> Result<AwsCredential, ArtifactError> {
        let text = tokio::fs::read_to_string(&self.path).await.map_err(disk("read", &self.path))?;
        parse(&text, &self.profile).ok_or_else(|| {
            ArtifactError::Settings(format!(
                "{} has no aws_access_key_id and aws_secret_access_key below [{}]: AWS_SHARED_CREDENTIALS_FILE names the file, \
                 AWS_PROFILE the section",
                self.path.display(),
                self.profile
            ))
        })
    }
}

#[async_trait::async_trait]
impl CredentialProvider for CredentialsFile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let failed = |error: ArtifactError| object_store::Error::Generic { store: "S3", source: Box::new(error) };
        self.read().await.map(Arc::new).map_err(failed)
    }
}

fn parse(text: &str, profile: &str) -> Option<AwsCredential> {
    let mut here = false;
    let (mut key_id, mut secret_key, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            here = section.trim() == profile;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| here) {
            let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
            match key.trim() {
                "aws_access_key_id" => key_id = value,
                "aws_secret_access_key" => secret_key = value,
                "aws_session_token" => token = value,
                _ => {}
            }
        }
    }
    Some(AwsCredential { key_id: key_id?, secret_key: secret_key?, token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_read_and_no_other() {
        let text = "# lab\n[other]\naws_access_key_id=no\n\n[ default ]\naws_access_key_id = id\n \
                    aws_secret_access_key = a=b/c\n[more]\naws_session_token = no\n";
        let found = parse(text, "default").expect("both are there");
        assert_eq!((found.key_id.as_str(), found.secret_key.as_str(), found.token), ("id", "a=b/c", None));
        assert!(parse(text, "other").is_none() && parse(text, "absent").is_none());
    }
}
