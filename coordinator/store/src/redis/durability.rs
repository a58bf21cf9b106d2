//! Finds out what a server guarantees, and says it in readable sentences. The server is asked once, before anything is
//! written.

use std::collections::HashMap;

use pretext_shared::text::counted;
use redis::Connection;

use super::link::Trouble;
use crate::{Durability, Level};

/// The oldest supported version: its scripts can refuse before they begin.
const OLDEST: (u32, u32) = (7, 0);

/// The server's answers about itself.
#[derive(Debug, Default)]
struct Facts {
    info: HashMap<String, String>,
    config: HashMap<String, String>,
    /// The reason why its configuration cannot be read.
    closed: Option<String>,
}

impl Facts {
    fn ask(connection: &mut Connection) -> Result<Self, Trouble> {
        let info: String = redis::cmd("INFO").query(connection)?;
        let pair = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        let info = info.lines().filter_map(pair).collect();
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg(&["appendonly", "appendfsync", "maxmemory-policy", "save", "min-replicas-to-write"][..]);
        // Managed services and strict ACLs forbid this command, each in its own way.
        let (config, closed) = match command.query(connection) {
            Ok(config) => (config, None),
            Err(error) if error.is_io_error() => return Err(error.into()),
            Err(error) => (HashMap::new(), Some(error.to_string())),
        };
        Ok(Self { info, config, closed })
    }

    fn info(&self, name: &str) -> &str {
        self.info.get(name).map_or("", String::as_str)
    }

    fn config(&self, name: &str) -> Option<&str> {
        self.config.get(name).map(String::as_str)
    }
}

impl Durability {
    /// Asks the server, and refuses one that could lose job state.
    pub(super) fn check(connection: &mut Connection) -> Result<Self, Trouble> {
        judge(&Facts::ask(connection)?).map_err(Trouble::last)
    }
}

fn judge(facts: &Facts) -> Result<Durability, String> {
    let version = facts.info("redis_version").to_owned();
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < OLDEST {
        return Err(format!("it is Redis {version}, but a store needs {}.{} or newer", OLDEST.0, OLDEST.1));
    }
    let policy = facts.config("maxmemory-policy").unwrap_or(facts.info("maxmemory_policy"));
    if !policy.is_empty() && policy != "noeviction" {
        return Err(format!(
            "its maxmemory-policy is {policy}, so it would delete job state when its memory is full: \
             set `maxmemory-policy noeviction`"
        ));
    }
    let (level, promise) = promise(facts);
    let mut sentences = vec![promise.to_owned()];
    if let Some(cause) = &facts.closed {
        sentences.push(format!("its configuration cannot be read ({cause}), so these statements come from INFO alone"));
    }
    if policy.is_empty() {
        sentences.push("its eviction policy cannot be read: make sure that the policy is noeviction".to_owned());
    }
    let replicas: u32 = facts.info("connected_slaves").parse().unwrap_or(0);
    if replicas > 0 {
        let least = facts.config("min-replicas-to-write").and_then(|least| least.parse::<u32>().ok()).unwrap_or(0);
        sentences.push(format!(
            "it has {}: a fail-over may go back to a state without the last \
             commits, which is detected, but not repaired; with --store-replicas N a commit waits for N of them",
            counted(replicas, "asynchronous replica")
        ));
        if least == 0 {
            sentences.push(
                "min-replicas-to-write is 0: while it is cut off from its replicas, it accepts commits that a fail-over \
                 loses"
                    .to_owned(),
            );
        }
    }
    Ok(Durability { version, level, sentences })
}

fn promise(facts: &Facts) -> (Level, &'static str) {
    let append = match facts.config("appendonly") {
        Some(value) => Some(value == "yes"),
        None => facts.info.get("aof_enabled").map(|value| value == "1"),
    };
    match (append, facts.config("appendfsync"), facts.config("save")) {
        (Some(true), Some("always"), _) => {
            (Level::EveryCommit, "acknowledged data are on its disk (appendfsync always): they survive power loss")
        }
        (Some(true), Some("everysec"), _) => (
            Level::EverySecond,
            "acknowledged data survive the end of its process, but power loss may take the last second or two \
             (appendfsync everysec): set `appendfsync always` to keep all data",
        ),
        (Some(true), Some(_), _) => (
            Level::Snapshots,
            "acknowledged data survive the end of its process, but power loss may take half a minute or more \
             (appendfsync no): set `appendfsync always` to keep all data",
        ),
        (Some(true), None, _) => (
            Level::Unknown,
            "it appends to a file, but does not tell how often it syncs the file: make sure that `appendfsync always` is set",
        ),
        (Some(false), _, Some("")) => (
            Level::Nothing,
            "it writes nothing to disk: all sweeps are lost when its process ends; set `appendonly yes` and \
             `appendfsync always`",
        ),
        (Some(false), ..) => (
            Level::Snapshots,
            "it writes snapshots only: minutes of acknowledged work are lost when its process is killed; set \
             `appendonly yes` and `appendfsync always`",
        ),
        (None, ..) => (Level::Unknown, "it does not tell what it writes to disk: nothing is guaranteed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(info: &[(&str, &str)], config: &[(&str, &str)]) -> Facts {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let closed = config.is_empty().then(|| "NOPERM".to_owned());
        Facts { info: map(info), config: map(config), closed }
    }

    #[test]
    fn what_a_server_promises_is_said_and_what_it_must_be_is_asked() {
        let level = |appendonly, appendfsync, save| {
            let config = [("appendonly", appendonly), ("appendfsync", appendfsync), ("save", save)];
            judge(&facts(&[("redis_version", "7.0.15")], &config)).expect("good enough").level
        };
        assert_eq!(level("yes", "always", ""), Level::EveryCommit);
        assert_eq!(level("yes", "everysec", "3600 1"), Level::EverySecond);
        assert_eq!(level("yes", "no", ""), Level::Snapshots);
        assert_eq!(level("no", "always", "3600 1"), Level::Snapshots);
        assert_eq!(level("no", "always", ""), Level::Nothing);

        let old = judge(&facts(&[("redis_version", "6.2.1")], &[])).expect_err("too old");
        assert!(old.contains("6.2.1") && old.contains("7.0"), "{old}");
        for evicting in [
            facts(&[("redis_version", "7.2.0")], &[("maxmemory-policy", "allkeys-lru")]),
            facts(&[("redis_version", "7.2.0"), ("maxmemory_policy", "volatile-ttl")], &[]),
        ] {
            let refused = judge(&evicting).expect_err("evicts");
            assert!(refused.contains("noeviction"), "{refused}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_too() {
        let closed = judge(&facts(&[("redis_version", "7.4.0"), ("aof_enabled", "1"), ("connected_slaves", "2")], &[]));
        let closed = closed.expect("may serve");
        assert_eq!(closed.level, Level::Unknown);
        let words = closed.sentences.join("\n");
        for word in
            ["how often it syncs", "cannot be read (NOPERM)", "2 asynchronous replicas", "min-replicas-to-write is 0"]
        {
            assert!(words.contains(word), "{word}: {words}");
        }
    }
}
