//! The register of join tokens, names in use and revocations. Each is a file in the identity folder, so that
//! `coordinator token` works while a coordinator is running, and two coordinators can share one register. Of a token,
//! only the hash of its secret is stored.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pretext_identity::{JoinToken, Pin, Role};
use pretext_shared::ids::is_valid_name;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Identity;
use super::authority::hex;

/// The number of times that a token may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Uses {
    /// This many more times.
    Left(u32),
    /// Any number of times until it expires: for replicas that come and go.
    Unlimited,
}

/// A stored token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The token's id: the part before the dot.
    pub id: String,
    /// SHA-256 of the secret.
    secret_hash: String,
    /// The role that the token gives.
    pub role: Role,
    /// Time at which it expires, in milliseconds since the Unix epoch.
    pub not_after_ms: u64,
    /// Remaining uses.
    pub uses: Uses,
}

#[derive(Debug, Serialize, Deserialize)]
struct NameRecord {
    key_hash: String,
    not_after_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Revocation {
    at_ms: u64,
}

/// The reason why the register refused.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The disk failed.
    #[error("cannot {action} {path}: {cause}", path = path.display())]
    Io {
        /// The failed action.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The content of a file is not valid.
    #[error("{path} is damaged: {cause}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The problem.
        cause: String,
    },
    /// The token is unknown, used up, expired or revoked, or its secret is wrong: a stranger does not learn which.
    #[error("the token is not valid, or not any more: create another with `coordinator token create`")]
    Token,
    /// Another key holds the name.
    #[error(
        "the name `{name}` is in use: choose another, or first run `coordinator token revoke --role {role} --name {name}`"
    )]
    NameTaken {
        /// The role.
        role: Role,
        /// The name.
        name: String,
    },
    /// The identity was revoked within this second. Certificates cannot tell the times apart.
    #[error("the name was revoked a moment ago: try again in a second")]
    JustRevoked,
    /// The text is not a valid name.
    #[error("use at most 64 of A-Z a-z 0-9 . _ - in a name, without a leading dot")]
    Name,
    /// There is no such token to revoke.
    #[error("there is no token `{0}`: list the tokens with `coordinator token list`")]
    NoSuchToken(String),
}

/// The register in one folder.
#[derive(Debug, Clone)]
pub struct Register {
    root: PathBuf,
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RegisterError {
    let path = path.to_owned();
    move |cause| RegisterError::Io { action, path, cause }
}

/// Rounds a time down to whole seconds, as certificates do.
fn whole_second(time: SystemTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

impl Register {
    /// Opens the register in `root`.
    ///
    /// # Errors
    /// If its folders cannot be made.
    pub fn open(root: &Path) -> Result<Self, RegisterError> {
        for name in ["tokens", "names", "revoked"] {
            let folder = root.join(name);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed("make", &folder))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Creates a token. Its secret is in the returned text and nowhere else.
    ///
    /// # Errors
    /// If the token cannot be saved.
    pub fn create(&self, pin: Pin, role: Role, life: Duration, uses: Uses) -> Result<JoinToken, RegisterError> {
        let (mut id, mut secret) = ([0; 8], [0; 32]);
        let random = SystemRandom::new();
        random.fill(&mut id).and_then(|()| random.fill(&mut secret)).map_err(|_| RegisterError::Io {
            action: "draw random numbers for",
            path: self.root.clone(),
            cause: io::Error::other("the system provides none"),
        })?;
        let (id, secret) = (hex(&id), hex(&secret));
        let not_after_ms = millis(SystemTime::now() + life);
        let record = TokenRecord { id: id.clone(), secret_hash: hash(&secret), role, not_after_ms, uses };
        let _lock = self.lock()?;
        self.write(&self.token_file(&id), &record)?;
        Ok(JoinToken { pin, credentials: format!("{id}.{secret}") })
    }

    /// Returns all tokens, valid or not.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn tokens(&self) -> Result<Vec<TokenRecord>, RegisterError> {
        let folder = self.root.join("tokens");
        let mut records = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed("list", &folder))? {
            let path = entry.map_err(failed("list", &folder))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                records.extend(self.read::<TokenRecord>(&path)?);
            }
        }
        records.sort_by_key(|record| record.not_after_ms);
        Ok(records)
    }

    /// Removes a token: no program can join with it any more. Identities that have joined stay valid.
    ///
    /// # Errors
    /// If there is no such token.
    pub fn revoke_token(&self, id: &str) -> Result<(), RegisterError> {
        let _lock = self.lock()?;
        let unknown = || RegisterError::NoSuchToken(id.to_owned());
        if !is_valid_name(id) {
            return Err(unknown());
        }
        let path = self.token_file(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(unknown()),
            Err(cause) => Err(RegisterError::Io { action: "remove", path, cause }),
            Ok(()) => Ok(()),
        }
    }

    /// Revokes an identity: its present certificates are refused from now on, and its name is free for another program
    /// to join with.
    ///
    /// # Errors
    /// If the name is not valid, or if the revocation cannot be saved.
    pub fn revoke_name(&self, role: Role, name: &str, now: SystemTime) -> Result<(), RegisterError> {
        let _lock = self.lock()?;
        let taken = self.name_file(role, name)?;
        let serials = self.root.join("revoked").join(format!("{role}-{name}.json"));
        self.write(&serials, &Revocation { at_ms: millis(now) })?;
        match fs::remove_file(&taken) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(RegisterError::Io { action: "remove", path: taken, cause })
            }
            _ => Ok(()),
        }
    }

    /// Returns whether an identity was revoked after its certificate was issued.
    ///
    /// # Errors
    /// If the register cannot be read; the caller must then refuse the peer.
    pub fn is_revoked(&self, identity: &Identity) -> Result<bool, RegisterError> {
        if !is_valid_name(&identity.name) {
            return Ok(true);
        }
        self.is_shut_out(identity.role, &identity.name, identity.since)
    }

    /// Returns whether a certificate issued at `since` is older than the last revocation. Certificates count whole
    /// seconds, rounded down: a certificate issued in the second of the revocation counts as issued before it.
    fn is_shut_out(&self, role: Role, name: &str, since: SystemTime) -> Result<bool, RegisterError> {
        let path = self.root.join("revoked").join(format!("{role}-{name}.json"));
        Ok(self.read::<Revocation>(&path)?.is_some_and(|revocation| millis(since) <= revocation.at_ms))
    }

    /// Uses a token once, for `name` and a key; returns the role that it gives.
    ///
    /// # Errors
    /// If the token is not valid, or if another key holds the name.
    pub fn redeem(
        &self,
        credentials: &str,
        name: &str,
        key: &[u8],
        not_after: SystemTime,
        now: SystemTime,
    ) -> Result<Role, RegisterError> {
        let (id, secret) = credentials.split_once('.').ok_or(RegisterError::Token)?;
        if !is_valid_name(id) {
            return Err(RegisterError::Token);
        }
        let _lock = self.lock()?;
        let path = self.token_file(id);
        let mut token = self.read::<TokenRecord>(&path)?.ok_or(RegisterError::Token)?;
        let good = same(&token.secret_hash, &hash(secret)) && millis(now) < token.not_after_ms;
        if !good {
            return Err(RegisterError::Token);
        }
        if self.holds(token.role, name, key, now)? {
            // The same request again: its first answer was lost.
            return Ok(token.role);
        }
        if self.is_shut_out(token.role, name, whole_second(now))? {
            return Err(RegisterError::JustRevoked);
        }
        match &mut token.uses {
            Uses::Left(0) => return Err(RegisterError::Token),
            Uses::Left(left) => *left -= 1,
            Uses::Unlimited => {}
        }
        self.claim(token.role, name, key, not_after, now, Claim::First)?;
        self.write(&path, &token)?;
        Ok(token.role)
    }

    /// Saves the next key of an identity that renews its certificate.
    ///
    /// # Errors
    /// If it cannot be saved.
    pub fn renew(
        &self,
        identity: &Identity,
        key: &[u8],
        not_after: SystemTime,
        now: SystemTime,
    ) -> Result<(), RegisterError> {
        let _lock = self.lock()?;
        self.claim(identity.role, &identity.name, key, not_after, now, Claim::Next)
    }

    fn holds(&self, role: Role, name: &str, key: &[u8], now: SystemTime) -> Result<bool, RegisterError> {
        let record = self.read::<NameRecord>(&self.name_file(role, name)?)?;
        let current = record.filter(|record| record.not_after_ms > millis(now));
        Ok(current.is_some_and(|record| record.key_hash == Pin::of(key).to_string()))
    }

    fn claim(
        &self,
        role: Role,
        name: &str,
        key: &[u8],
        not_after: SystemTime,
        now: SystemTime,
        claim: Claim,
    ) -> Result<(), RegisterError> {
        let path = self.name_file(role, name)?;
        let key_hash = Pin::of(key).to_string();
        let holder = self.read::<NameRecord>(&path)?.filter(|record| record.not_after_ms > millis(now));
        if claim == Claim::First && holder.is_some_and(|record| record.key_hash != key_hash) {
            return Err(RegisterError::NameTaken { role, name: name.to_owned() });
        }
        self.write(&path, &NameRecord { key_hash, not_after_ms: millis(not_after) })
    }

    fn token_file(&self, id: &str) -> PathBuf {
        self.root.join("tokens").join(format!("{id}.json"))
    }

    fn name_file(&self, role: Role, name: &str) -> Result<PathBuf, RegisterError> {
        if !is_valid_name(name) {
            return Err(RegisterError::Name);
        }
        Ok(self.root.join("names").join(format!("{role}-{name}.json")))
    }

    /// Locks the register for one writer among all processes. Closing the file releases the lock.
    fn lock(&self) -> Result<File, RegisterError> {
        let path = self.root.join("lock");
        let file =
            OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed("open", &path))?;
        file.lock().map_err(failed("lock", &path))?;
        Ok(file)
    }

    fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, RegisterError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(RegisterError::Io { action: "read", path: path.to_owned(), cause }),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| RegisterError::Damaged { path: path.to_owned(), cause: error.to_string() })
    }

    fn write<T: Serialize>(&self, path: &Path, record: &T) -> Result<(), RegisterError> {
        let text = serde_json::to_vec(record)
            .map_err(|error| RegisterError::Damaged { path: path.to_owned(), cause: error.to_string() })?;
        let temporary = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(failed("make", &temporary))?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed("write", &temporary))?;
        fs::rename(&temporary, path).map_err(failed("rename", &temporary))?;
        let folder = path.parent().unwrap_or(&self.root);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
    }
}

/// Whether a name is claimed with a token or by its present holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    First,
    Next,
}

/// Hashes a secret of 256 random bits: a fast hash is as safe for it as a slow one.
fn hash(secret: &str) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, secret.as_bytes()).as_ref())
}

/// Compares two hashes in a time that does not depend on where they differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
