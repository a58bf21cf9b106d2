//! Parses where artifacts are stored: a folder, or a bucket as `s3://BUCKET/PREFIX`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The storage of artifacts: a folder, or `s3://BUCKET/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder, on a disk or a volume.
    Directory(PathBuf),
    /// A bucket.
    Bucket(BucketAddress),
}

/// A bucket, and a prefix in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketAddress {
    pub(super) bucket: String,
    /// The beginning of all keys, without slashes at its ends; may be empty.
    pub(super) prefix: String,
}

/// The error for a text that names no storage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` cannot hold artifacts: {cause}; give a folder, or s3://BUCKET/PREFIX")]
pub struct PlaceError {
    text: String,
    cause: &'static str,
}

impl FromStr for Location {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let refused = |cause| Err(PlaceError { text: text.escape_debug().to_string(), cause });
        let Some((scheme, rest)) = text.split_once("://") else {
            return if text.is_empty() { refused("it is empty") } else { Ok(Location::Directory(text.into())) };
        };
        if scheme != "s3" {
            return refused("only s3:// is supported");
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(allowed) {
            return refused("use 3 to 63 of the characters a-z 0-9 . - in a bucket's name");
        }
        let prefix = prefix.trim_end_matches('/');
        let is_good = |segment: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            !["", ".", ".."].contains(&segment) && segment.chars().all(allowed)
        };
        if !prefix.is_empty() && !prefix.split('/').all(is_good) {
            return refused("use the characters A-Z a-z 0-9 . _ - between the slashes of a prefix");
        }
        Ok(Location::Bucket(BucketAddress { bucket: bucket.to_owned(), prefix: prefix.to_owned() }))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Directory(path) => write!(f, "{}", path.display()),
            Location::Bucket(address) => write!(f, "{address}"),
        }
    }
}

impl fmt::Display for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(f, "s3://{}{slash}{}", self.bucket, self.prefix)
    }
}

/// The environment variables that begin with `AWS_`: they name the server of a bucket, and the credentials.
#[derive(Clone, Default)]
pub struct AwsVariables(BTreeMap<String, String>);

impl AwsVariables {
    /// Returns the variables of this process.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// Returns a variable, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns all variables that are not empty.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).filter(|(_, value)| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for AwsVariables {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(variables.into_iter().filter(|(name, _)| name.starts_with("AWS_")).collect())
    }
}

/// Shows only names: some values are secrets.
impl fmt::Debug for AwsVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_or_a_bucket() {
        let place = |text: &str| text.parse::<Location>();
        assert_eq!(place("/srv/artifacts"), Ok(Location::Directory("/srv/artifacts".into())));
        for (text, shown) in [("s3://lab-1", "s3://lab-1"), ("s3://lab/a/B_2/", "s3://lab/a/B_2")] {
            let found = place(text).expect("a bucket");
            assert!(matches!(found, Location::Bucket(_)) && found.to_string() == shown, "{found:?}");
        }
        for bad in ["", "gs://lab", "s3://", "s3://Lab", "s3://lab//a", "s3://lab/../a", "s3://lab/a b", "s3://k:s@lab"]
        {
            let error = place(bad).expect_err("no home").to_string();
            assert!(error.ends_with("give a folder, or s3://BUCKET/PREFIX"), "{error}");
        }
    }
}
