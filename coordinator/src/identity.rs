//! `coordinator init-ca`, `coordinator token`, `coordinator certify` and `coordinator join`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use pretext_identity::{Enrollment, JoinError, JoinToken, Pin, Role, Wire};
use pretext_server::identity::{
    Authority, AuthorityError, CERTIFICATE_LIFE, Register, RegisterError, TokenRecord, Uses, write_new,
};
use serde::Serialize;

use super::console::{Console, Show};
use super::error::CliError;
use super::remote::folder;
use crate::values::{IDENTITY, lifetime};
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct AuthorityArgs {
    /// The state directory of the coordinator
    #[arg(long, value_name = "DIR", default_value = ".pretext")]
    state_dir: PathBuf,
    /// The folder of the certificate authority [default: identity in the state directory]
    #[arg(long, value_name = "DIR")]
    identity_dir: Option<PathBuf>,
}

impl AuthorityArgs {
    fn folder(&self) -> PathBuf {
        self.identity_dir.clone().unwrap_or_else(|| self.state_dir.join(IDENTITY))
    }
}

#[derive(Debug, Args)]
pub(super) struct InitCaArgs {
    #[command(flatten)]
    authority: AuthorityArgs,
    /// If an authority exists, keep it and print its fingerprint; for scripts that run at every start
    #[arg(long)]
    if_missing: bool,
}

#[derive(Debug, Args)]
pub(super) struct CertifyArgs {
    #[command(flatten)]
    authority: AuthorityArgs,
    /// Role of the program: submit or read (a worker joins with a token instead)
    #[arg(long, value_parser = ["submit", "read"])]
    role: String,
    /// The program's name in logs
    #[arg(long)]
    name: String,
    /// Lifetime of the certificate, for example 24h or 90d
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    life: Duration,
    /// The folder to write ca.crt, tls.crt and tls.key to; these files must not exist yet
    #[arg(long, value_name = "DIR", required_unless_present = "print_secret")]
    out: Option<PathBuf>,
    /// Instead of files, print a Kubernetes Secret of this name with the same content, for `kubectl apply -f -`
    #[arg(long, value_name = "NAME", conflicts_with = "out")]
    print_secret: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    action: TokenAction,
}

#[derive(Debug, Subcommand)]
enum TokenAction {
    /// Create a token and print it; it cannot be shown again
    Create {
        #[command(flatten)]
        authority: AuthorityArgs,
        /// Role of the identity that this token creates: worker, submit or read
        #[arg(long)]
        role: Role,
        /// How long the token can be used, for example 15m, 24h or 7d
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
        ttl: Duration,
        /// How often the token can be used: a number, or `unlimited`
        #[arg(long, value_name = "N", default_value = "1", value_parser = uses)]
        uses: Uses,
    },
    /// List tokens, without their secrets
    List {
        #[command(flatten)]
        authority: AuthorityArgs,
    },
    /// Revoke a token, or an identity that has joined
    Revoke {
        #[command(flatten)]
        authority: AuthorityArgs,
        /// Id of the token to revoke (`coordinator token list`)
        #[arg(value_name = "ID", required_unless_present = "name")]
        id: Option<String>,
        /// Name of the identity to revoke instead of a token; needs --role
        #[arg(long, conflicts_with = "id", requires = "role")]
        name: Option<String>,
        /// Role of the identity to revoke: worker, submit or read
        #[arg(long)]
        role: Option<Role>,
    },
}

#[derive(Debug, Args)]
pub(super) struct JoinArgs {
    /// The coordinator's URL: https://HOST:PORT
    #[arg(value_name = "URL")]
    url: String,
    /// A file with the token; `-` reads it from stdin
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// The name of the new identity [default: $USER]
    #[arg(long, env = "USER")]
    name: String,
    /// The folder for the certificate [default: ~/.config/pretext/identity]
    #[arg(long, env = "PRETEXT_CREDENTIALS", value_name = "DIR")]
    credentials: Option<PathBuf>,
}

fn uses(text: &str) -> Result<Uses, String> {
    match text {
        "unlimited" => Ok(Uses::Unlimited),
        number => number
            .parse()
            .ok()
            .filter(|count| *count > 0)
            .map(Uses::Left)
            .ok_or_else(|| "give a number from 1, or `unlimited`".to_owned()),
    }
}

impl From<AuthorityError> for CliError {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Missing(_) | AuthorityError::Exists(_) => CliError::input(error.to_string()),
            _ => CliError::environment(error.to_string()),
        }
    }
}

impl From<RegisterError> for CliError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Io { .. } | RegisterError::Damaged { .. } => CliError::environment(error.to_string()),
            _ => CliError::input(error.to_string()),
        }
    }
}

#[derive(Debug, Serialize)]
struct Made {
    authority: String,
    folder: PathBuf,
}

impl Show for Made {
    fn text(&self) -> String {
        format!(
            "authority {}\nkept in {}: keep ca.key there secret, with it anyone can issue certificates",
            self.authority,
            self.folder.display()
        )
    }
}

/// Creates the authority.
pub(super) fn init_ca(args: &InitCaArgs, console: &Console) -> Result<Verdict, CliError> {
    let folder = args.authority.folder();
    let authority = match Authority::create(&folder) {
        Err(AuthorityError::Exists(_)) if args.if_missing => Authority::open(&folder, CERTIFICATE_LIFE)?.pin(),
        created => created?,
    }
    .to_string();
    console.show(&Made { authority, folder })?;
    Ok(Verdict::Good)
}

/// A Secret as `kubectl apply` takes it; JSON is YAML too.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Secret {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    string_data: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
struct Metadata {
    name: String,
}

impl Show for Secret {
    fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

#[derive(Debug, Serialize)]
struct Certified {
    out: PathBuf,
}

impl Show for Certified {
    fn text(&self) -> String {
        format!("ca.crt, tls.crt and tls.key are in {}", self.out.display())
    }
}

/// Creates a certificate for a program that cannot join and renew by itself: a scraper, an autoscaler.
pub(super) fn certify(args: &CertifyArgs, console: &Console) -> Result<Verdict, CliError> {
    if !pretext_shared::ids::is_valid_name(&args.name) {
        return Err(RegisterError::Name.into());
    }
    let authority = Authority::open(&args.authority.folder(), args.life)?;
    let role: Role = args.role.parse().map_err(CliError::input)?;
    let pair = authority.key_pair(role, &args.name)?;
    let files = [("ca.crt", pair.authority), ("tls.crt", pair.certificate), ("tls.key", pair.key)];
    if let Some(name) = &args.print_secret {
        let metadata = Metadata { name: name.clone() };
        console.show(&Secret { api_version: "v1", kind: "Secret", metadata, string_data: files.into() })?;
    } else if let Some(out) = &args.out {
        std::fs::create_dir_all(out)
            .map_err(|error| CliError::environment(format!("cannot make {}: {error}", out.display())))?;
        for (name, text) in &files {
            write_new(&out.join(name), text)?;
        }
        console.show(&Certified { out: out.clone() })?;
    }
    Ok(Verdict::Good)
}

#[derive(Debug, Serialize)]
struct TokenLine {
    id: String,
    role: Role,
    not_after_ms: u64,
    /// Remaining uses; `null` if unlimited.
    uses_left: Option<u32>,
}

impl From<TokenRecord> for TokenLine {
    fn from(record: TokenRecord) -> Self {
        let uses_left = match record.uses {
            Uses::Left(left) => Some(left),
            Uses::Unlimited => None,
        };
        Self { id: record.id, role: record.role, not_after_ms: record.not_after_ms, uses_left }
    }
}

#[derive(Debug, Serialize)]
struct Tokens {
    tokens: Vec<TokenLine>,
}

impl Show for Tokens {
    fn text(&self) -> String {
        if self.tokens.is_empty() {
            return "no tokens".to_owned();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let line = |token: &TokenLine| {
            let uses = token.uses_left.map_or_else(|| "unlimited".to_owned(), |left| left.to_string());
            let state = match token.not_after_ms.checked_sub(now) {
                Some(left) => format!("expires in {} min", left / 60_000),
                None => "expired".to_owned(),
            };
            format!("{}  {:6}  uses left {uses}  {state}\n", token.id, token.role)
        };
        self.tokens.iter().map(line).collect()
    }
}

#[derive(Debug, Serialize)]
struct Created {
    token: String,
}

impl Show for Created {
    fn text(&self) -> String {
        self.token.clone()
    }
}

#[derive(Debug, Serialize)]
struct Revoked {
    revoked: String,
}

impl Show for Revoked {
    fn text(&self) -> String {
        format!("{} is revoked", self.revoked)
    }
}

/// Creates, lists or revokes tokens.
pub(super) fn token(args: &TokenArgs, console: &Console) -> Result<Verdict, CliError> {
    // Opening the authority first ensures that only its owner changes the register.
    let open = |args: &AuthorityArgs| -> Result<(Pin, Register), CliError> {
        let folder = args.folder();
        Ok((Authority::open(&folder, CERTIFICATE_LIFE)?.pin(), Register::open(&folder)?))
    };
    match &args.action {
        TokenAction::Create { authority, role, ttl, uses } => {
            let (pin, register) = open(authority)?;
            console.show(&Created { token: register.create(pin, *role, *ttl, *uses)?.to_string() })?;
        }
        TokenAction::List { authority } => {
            let tokens = open(authority)?.1.tokens()?.into_iter().map(TokenLine::from).collect();
            console.show(&Tokens { tokens })?;
        }
        TokenAction::Revoke { authority, id, name, role } => {
            let (_, register) = open(authority)?;
            let revoked = match (id, name, role) {
                (_, Some(name), Some(role)) => {
                    register.revoke_name(*role, name, SystemTime::now())?;
                    format!("{role} {name}")
                }
                (Some(id), ..) => {
                    register.revoke_token(id)?;
                    format!("token {id}")
                }
                _ => return Err(CliError::input("give a token's id, or --role and --name of an identity")),
            };
            console.show(&Revoked { revoked })?;
        }
    }
    Ok(Verdict::Good)
}

#[derive(Debug, Serialize)]
struct Joined {
    role: Role,
    name: String,
    credentials: PathBuf,
    not_after_ms: u64,
}

impl Show for Joined {
    fn text(&self) -> String {
        format!("joined as {} `{}`; the certificate is in {}", self.role, self.name, self.credentials.display())
    }
}

impl From<JoinError> for CliError {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Unreachable { url, cause } => CliError::Unreachable { url, cause },
            JoinError::Refused(_) => CliError::input(error.to_string()),
            _ => CliError::environment(error.to_string()),
        }
    }
}

/// Exchanges a join token for a certificate.
pub(super) async fn join(args: JoinArgs, console: &Console) -> Result<Verdict, CliError> {
    if !Wire::wants_tls(&args.url) {
        return Err(CliError::input(format!("`{}` must begin with https://", args.url.escape_debug())));
    }
    let read = match args.token_file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(&args.token_file),
    };
    let text = read.map_err(|error| CliError::input(format!("cannot read {}: {error}", args.token_file.display())))?;
    let token = text.parse::<JoinToken>().map_err(|error| CliError::input(error.to_string()))?;
    let folder = folder(args.credentials.as_deref())?;
    let credentials = Enrollment::new(token, &args.name)?.attempt(&args.url, &folder).await?;
    console.show(&Joined {
        role: credentials.role,
        name: credentials.name,
        credentials: folder.path().to_owned(),
        not_after_ms: credentials.not_after_ms,
    })?;
    Ok(Verdict::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_uses_are_read() {
        assert_eq!((uses("3"), uses("unlimited")), (Ok(Uses::Left(3)), Ok(Uses::Unlimited)));
        assert!(uses("0").is_err());
    }
}
