//! The system that the campaigns of kills strike: a coordinator, and the Redis server that has its state, if one has.

use clap::ValueEnum;
use pretext_tests::processes::until;
use pretext_tests::{Output, Redis, Scratch, Server};

/// Where the coordinator keeps its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Home {
    /// In a file of its own.
    Embedded,
    /// On a Redis server that syncs every command.
    Redis,
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    Coordinator,
    Redis,
}

/// A coordinator that was killed has the lead of a server's store until its lease ends.
const LEAD_MS: &str = "500";
/// What a command says where no coordinator serves, or the one that is there stands by.
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

    /// `kill -9`, and the same again at once, with the same state.
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

    /// Whether the coordinator has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.server.process.0.try_wait().expect("a child of ours").is_some()
    }

    /// Runs a command once the coordinator serves.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        until("the coordinator serves", || {
            let output = self.server.ask(&self.folder, arguments);
            (output.code != UNREACHABLE).then_some(output)
        })
        .expect(0)
    }
}

/// Arguments of a coordinator with its state at `store`; nothing for its own file.
fn arguments(store: &str) -> Vec<&str> {
    if store.is_empty() { Vec::new() } else { vec!["--store", store, "--lead-ms", LEAD_MS] }
}
