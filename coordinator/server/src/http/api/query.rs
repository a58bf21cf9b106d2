//! The query of a request: names with values, of which some may be given several times.

use std::str::FromStr;

use axum::http::Uri;

use super::error::ApiError;

/// The names and values of a query.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of `uri`, which may have the names in `known`.
    ///
    /// # Errors
    /// Another name: a misspelt filter must not select everything.
    pub(super) fn of(uri: &Uri, known: &[&str]) -> Result<Self, ApiError> {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let pairs: Vec<(String, String)> = pairs.into_owned().collect();
        match pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(Self(pairs)),
            Some((name, _)) => {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(ApiError::BadQuery(format!("unknown parameter `{name}`; known: {known}")))
            }
        }
    }

    /// Returns all values of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns all values of a name, each read by `read`.
    ///
    /// # Errors
    /// A value that `read` does not know.
    pub(super) fn each<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, ApiError> {
        let bad = |value: &str| ApiError::BadQuery(format!("`{value}` is not a value of `{name}`"));
        self.all(name).map(|value| read(value).ok_or_else(|| bad(value))).collect()
    }

    /// Returns the value of a name, or `other` if it is not given.
    ///
    /// # Errors
    /// A value that does not parse, or a second value.
    pub(super) fn one<T: FromStr>(&self, name: &str, other: T) -> Result<T, ApiError> {
        let mut values = self.each(name, |value| value.parse().ok())?;
        match (values.pop(), values.is_empty()) {
            (None, _) => Ok(other),
            (Some(value), true) => Ok(value),
            (Some(_), false) => Err(ApiError::BadQuery(format!("`{name}` can be given once"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_and_values_are_decoded() {
        let uri: Uri = "/x?fraction=5%25&fraction=0.1&points=7".parse().expect("a path");
        let query = Query::of(&uri, &["fraction", "points"]).expect("known names");
        assert_eq!(query.all("fraction").collect::<Vec<_>>(), ["5%", "0.1"]);
        assert_eq!(query.one("points", 1).expect("a number"), 7);
        assert_eq!(query.one("none", 1).expect("the default"), 1);
        for (name, result) in [
            ("points", query.one("points", true).map(|_| ())),
            ("fraction", query.one("fraction", String::new()).map(|_| ())),
        ] {
            assert!(matches!(result, Err(ApiError::BadQuery(text)) if text.contains(name)), "{name}");
        }
        let error = Query::of(&uri, &["points"]).expect_err("an unknown name");
        assert_eq!(error.to_string(), "unknown parameter `fraction`; known: points");
    }
}
