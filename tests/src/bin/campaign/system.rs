//! The system under the campaigns of kills: a coordinator, and the Redis server with its state if there is one.

use clap::ValueEnum;
use pretext_tests::processes::until;
use pretext_tests::{Output, Redis, Scratch, Server};

/// Home of the coordinator's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Home {
    /// A file of the coordinator.
    Embedded,
    /// A Redis server that syncs every command.
    Redis,
}

/// The process to kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    Coordinator,
    Redis,
}

/// Lease of the lead: a killed coordinator holds the lead of a server's store until this has passed.
const LEAD_MS: &str = "500";
/// Exit code of a command if no coordinator serves, or only a standby.
const UNREACHABLE: i32 = 3;

/// See the module.
pub(crate) struct System {
    pub(crate) folder: Scratch,
    pub(crate) server: Server,
    redis: Option<Redis>,
}

impl System {
    pub(crate) fn start(home: Home) -> Self {
        let folder = Scratch::new();
        let redis = (home == Home::Redis).then(|| Redis::start(&folder));
        let server = Server::start(&folder, &arguments(&redis.as_ref().map(Redis::url).unwrap_or_default()));
        let system = Self { folder, server, redis };
        system.ask(&["status"]);
        system
    }

    /// Kills with `kill -9`, and starts the same process again at once with the same state.
    pub(crate) fn kill(&mut self, victim: Victim) {
        match (victim, &mut self.redis) {
            (Victim::Coordinator, redis) => {
                self.server.process.kill();
                let store = redis.as_ref().map(Redis::url).unwrap_or_default();
                self.server.restart(&self.folder, &arguments(&store));
            }
            (Victim::Redis, Some(redis)) => redis.kill_and_start(),
            (Victim::Redis, None) => panic!("the embedded store has no server"),
        }
    }

    /// Returns whether the coordinator has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.server.process.0.try_wait().expect("a child of ours").is_some()
    }

    /// Runs a command as soon as the coordinator serves.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        until("the coordinator serves", || {
            let output = self.server.ask(&self.folder, arguments);
            (output.code != UNREACHABLE).then_some(output)
        })
        .expect(0)
    }
}

/// Returns the arguments of a coordinator with its state at `store`; none for its own file.
fn arguments(store: &str) -> Vec<&str> {
    if store.is_empty() { Vec::new() } else { vec!["--store", store, "--lead-ms", LEAD_MS] }
}
