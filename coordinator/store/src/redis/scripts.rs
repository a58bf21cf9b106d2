//! The scripts, and their answers. Each script begins with `#!lua`. So a server that has no memory left, is a replica,
//! or may not write refuses the script before it starts.

use redis::{Connection, ErrorKind, FromRedisValue, ServerErrorKind};

use super::link::Trouble;

macro_rules! script {
    ($flags:literal, $file:literal) => {
        concat!("#!lua", $flags, "\n", include_str!("scripts/leads.lua"), include_str!(concat!("scripts/", $file)))
    };
}

/// A script: called by its hash, and sent in full if the server does not know it (after a restart or a fail-over).
pub(super) struct Script(redis::Script, &'static str);

/// All scripts.
pub(super) struct Scripts {
    pub(super) lead: Script,
    pub(super) commit: Script,
    pub(super) stage: Script,
    pub(super) publish: Script,
    /// It frees as much memory as it uses, so it runs even if there is no memory left.
    pub(super) fold: Script,
    pub(super) renew: Script,
    /// A renewal that needs room, as a commit does.
    pub(super) room: Script,
    pub(super) resign: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            lead: Script::new(concat!("#!lua\n", include_str!("scripts/lead.lua"))),
            commit: Script::new(script!("", "commit.lua")),
            stage: Script::new(script!("", "stage.lua")),
            publish: Script::new(script!("", "publish.lua")),
            fold: Script::new(script!(" flags=allow-oom", "fold.lua")),
            renew: Script::new(script!(" flags=allow-oom", "renew.lua")),
            room: Script::new(script!("", "renew.lua")),
            resign: Script::new(script!(" flags=allow-oom", "resign.lua")),
        }
    }
}

/// The keys and arguments of a call.
#[derive(Debug, Default, Clone)]
pub(super) struct Call {
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) args: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.keys.push(key.into());
        self
    }

    pub(super) fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }
}

impl Script {
    fn new(code: &'static str) -> Self {
        Self(redis::Script::new(code), code)
    }

    /// Runs the script. Its answer is a list of texts; the first one names the outcome.
    pub(super) fn run(&self, connection: &mut Connection, call: &Call) -> Result<Vec<Vec<u8>>, Trouble> {
        let command = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(call.keys.len()).arg(&call.keys[..]).arg(&call.args[..]);
            command
        };
        let answer = match command("EVALSHA", self.0.get_hash()).query::<redis::Value>(connection) {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", self.1).query(connection)
            }
            answer => answer,
        }?;
        Vec::<Vec<u8>>::from_redis_value(answer).map_err(|error| Trouble::last(format!("a script answered {error}")))
    }
}

/// Returns part `at` of an answer, as text.
pub(super) fn text(answer: &[Vec<u8>], at: usize) -> String {
    answer.get(at).map(|part| String::from_utf8_lossy(part).into_owned()).unwrap_or_default()
}

/// Returns part `at` of an answer, as a number; 0 if it is not a number.
pub(super) fn number(answer: &[Vec<u8>], at: usize) -> u64 {
    text(answer, at).parse().unwrap_or_default()
}
