//! The roles of identities.

use serde::{Deserialize, Serialize};

/// A role. The coordinator has one table of the calls that each role may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Takes stages and delivers their results.
    Worker,
    /// Submits, cancels and reads.
    Submit,
    /// Reads.
    Read,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 3] = [Role::Worker, Role::Submit, Role::Read];

    /// Returns `worker`, `submit` or `read`.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Worker => "worker",
            Role::Submit => "submit",
            Role::Read => "read",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Role::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("`{}` is not a role: worker, submit or read", text.escape_debug()))
    }
}
