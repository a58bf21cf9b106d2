//! The store on a Redis server (7.0 or newer). A commit is one script: it checks the leader's term, the sequence and
//! the stages' fences, then writes. A commit that is too large for one script is first stored in pieces, then published
//! by one small script. Until its pieces are folded into the tables, readers combine both.
//!
//! Only the leader writes. The lead is a lease that commits and signs of life renew. Taking the lead raises the term,
//! and every script compares the term, so a leader that was paused and comes back cannot write.

mod address;
mod durability;
mod keys;
mod link;
mod piece;
mod read;
mod scripts;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pretext_engine::{Batch, Change, GrantRecord, Outline, Snapshot, StageRecord};
use pretext_shared::ids::{ContentHash, Fence, StageId};
use redis::Connection;
use uuid::Uuid;

pub use self::address::{InvalidAddress, StoreAddress};
pub use self::link::Patience;

use self::keys::Keys;
use self::link::{Link, Trouble};
use self::piece::{Piece, pack, split, unpack};
use self::read::Pairs;
use self::scripts::{Call, Script, Scripts, number, text};
use super::row::{Effect, Guard, Row, Rows, Table, decode, number as key_number};
use super::{Durability, Lead, Led, SharedStore, Store, StoreError, outline};

/// Raised when the meaning of a stored record changes.
const FORMAT: u64 = 1;
/// Number of plans in one answer: each has about a kilobyte.
const PLANS_AT_A_TIME: usize = 1_000;

/// How to use a server.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// The address of the server.
    pub address: StoreAddress,
    /// The name of this coordinator for standbys.
    pub name: String,
    /// Duration of the lead after its last renewal.
    pub lease: Duration,
    /// Time limits of connections and retries.
    pub patience: Patience,
    /// Number of replicas that must have a commit before it is acknowledged.
    pub replicas: u32,
    /// A file with the password. It is read for every connection, because the password may change.
    pub password_file: Option<PathBuf>,
}

impl RedisOptions {
    /// Returns options with the defaults.
    pub fn new(address: StoreAddress) -> Self {
        let name = "unnamed".to_owned();
        let (lease, patience) = (Duration::from_secs(10), Patience::default());
        Self { address, name, lease, patience, replicas: 0, password_file: None }
    }
}

/// A checked server, on which this process does not lead.
pub struct RedisHome {
    link: Link,
    keys: Keys,
    scripts: Scripts,
    options: RedisOptions,
    durability: Durability,
    /// Identifies this process among all that have ever led.
    holder: Uuid,
}

/// The store on a server on which this process leads.
pub struct RedisStore {
    home: Arc<RedisHome>,
    /// Drawn when the store was created: a store that was emptied and created again is another one.
    store: String,
    term: u64,
    writer: Mutex<Writer>,
    readers: Mutex<Vec<Connection>>,
}

struct Writer {
    connection: Option<Connection>,
    /// The number of the last commit.
    sequence: u64,
    /// When the last script was sent that proved the lead.
    confirmed: Instant,
}

impl RedisHome {
    /// Connects, and checks that the server can hold a store.
    pub fn open(options: RedisOptions) -> Result<Self, StoreError> {
        let link = Link::new(options.address.clone(), options.patience, options.password_file.clone());
        let durability = link.persist(&mut None, Durability::check)?;
        let keys = Keys::new(options.address.namespace());
        Ok(Self { link, keys, scripts: Scripts::new(), options, durability, holder: Uuid::now_v7() })
    }

    /// Takes the lead, unless another coordinator has it.
    pub fn take_lead(self: Arc<Self>) -> Result<Lead<RedisStore>, StoreError> {
        let call = Call::default()
            .key(self.keys.meta())
            .key(self.keys.leader())
            .arg(Uuid::now_v7().to_string())
            .arg(self.holder.to_string())
            .arg(self.options.name.as_str())
            .arg(self.options.lease.as_millis().to_string())
            .arg(FORMAT.to_string());
        let mut connection = None;
        let (mut confirmed, script) = (Instant::now(), &self.scripts.lead);
        let answer = self.link.persist(&mut connection, |connection| {
            confirmed = Instant::now();
            script.run(connection, &call)
        })?;
        match text(&answer, 0).as_str() {
            "leads" => {
                let store = RedisStore {
                    store: text(&answer, 1),
                    term: number(&answer, 2),
                    writer: Mutex::new(Writer { connection, sequence: number(&answer, 3), confirmed }),
                    readers: Mutex::new(Vec::new()),
                    home: self,
                };
                store.fold_all(&mut store.writer())?;
                store.outline_all(&mut store.writer())?;
                Ok(Lead::Leads(store))
            }
            "held" => Ok(Lead::Held { by: text(&answer, 1), left: Duration::from_millis(number(&answer, 2)) }),
            "format" => Err(StoreError::Format { store: self.address(), found: number(&answer, 1), known: FORMAT }),
            other => Err(self.odd(other)),
        }
    }

    fn odd(&self, answer: &str) -> StoreError {
        StoreError::Server { store: self.address(), cause: format!("a script answered `{}`", answer.escape_debug()) }
    }
}

impl SharedStore for RedisHome {
    fn address(&self) -> String {
        self.options.address.to_string()
    }

    fn durability(&self) -> &Durability {
        &self.durability
    }

    fn lease(&self) -> Duration {
        self.options.lease
    }

    fn lead(self: Arc<Self>) -> Result<Lead<Led>, StoreError> {
        Ok(match self.take_lead()? {
            Lead::Leads(store) => Lead::Leads(Led { term: store.term(), store: Arc::new(store) }),
            Lead::Held { by, left } => Lead::Held { by, left },
        })
    }
}

impl RedisStore {
    /// Returns the term under which this process leads: it is higher than all before.
    pub fn term(&self) -> u64 {
        self.term
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panicking writer leaves at worst a connection in an unknown state: every script checks everything again.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a call with the arguments that every script of a leader begins with.
    fn call(&self) -> Call {
        let home = &self.home;
        Call::default()
            .key(home.keys.meta())
            .key(home.keys.leader())
            .arg(self.store.as_str())
            .arg(home.holder.to_string())
            .arg(self.term.to_string())
            .arg(home.options.lease.as_millis().to_string())
    }

    /// Runs a script until it answers, and interprets the answer. If a reply is lost, the repeated call changes nothing
    /// more.
    fn run(&self, writer: &mut Writer, script: &Script, call: &Call, replicas: u32) -> Result<(), StoreError> {
        let home = &self.home;
        let mut sent = Instant::now();
        let answer = home.link.persist(&mut writer.connection, |connection| {
            sent = Instant::now();
            let answer = script.run(connection, call)?;
            wait_for(connection, replicas, home.options.patience.response / 2)?;
            Ok(answer)
        })?;
        self.judge(&answer, writer.sequence)?;
        writer.confirmed = sent;
        Ok(())
    }

    /// Interprets an answer; `sequence` is the number of the last known commit.
    fn judge(&self, answer: &[Vec<u8>], sequence: u64) -> Result<(), StoreError> {
        let store = || self.home.address();
        let rolled_back = |found| StoreError::RolledBack { store: store(), known: sequence, found };
        match text(answer, 0).as_str() {
            "done" => Ok(()),
            "not-leader" if text(answer, 1) == self.store && number(answer, 2) > self.term => {
                Err(StoreError::Superseded {
                    store: store(),
                    term: self.term,
                    by: text(answer, 4),
                    theirs: number(answer, 2),
                })
            }
            "not-leader" => Err(rolled_back(number(answer, 3))),
            "sequence" if number(answer, 1) < sequence => Err(rolled_back(number(answer, 1))),
            "fence" => {
                let bytes = answer.get(1).and_then(|stage| <[u8; 32]>::try_from(stage.as_slice()).ok());
                let stage = StageId(ContentHash::from_bytes(bytes.unwrap_or_default()));
                let (presented, stored) = (Fence(number(answer, 2)), Fence(number(answer, 3)));
                Err(StoreError::StaleFence { stage, presented, stored })
            }
            "foreign" => Err(StoreError::Server {
                store: store(),
                cause: format!(
                    "its key {} is a {} of another program: choose another ?namespace=",
                    text(answer, 1).escape_debug(),
                    text(answer, 2)
                ),
            }),
            other => Err(self.home.odd(&format!("{other} {}", text(answer, 1)))),
        }
    }

    fn commit_small(&self, writer: &mut Writer, sequence: u64, piece: &Piece) -> Result<(), StoreError> {
        let keys = &self.home.keys;
        let call = self.call().key(keys.redo()).key(keys.table(Table::Fences));
        let call = call.arg(sequence.to_string()).arg(Uuid::now_v7().to_string());
        let call = self.with_rows(with_guards(call, &piece.guards), &fenced(piece));
        self.run(writer, &self.home.scripts.commit, &call, self.home.options.replicas)
    }

    fn commit_large(&self, writer: &mut Writer, sequence: u64, pieces: &[Piece]) -> Result<(), StoreError> {
        let (keys, scripts) = (&self.home.keys, &self.home.scripts);
        for (place, piece) in pieces.iter().enumerate() {
            let call = self.call().key(keys.staged()).key(keys.table(Table::Fences));
            let call = call.arg(place.to_string()).arg(pack(&fenced(piece)));
            self.run(writer, &scripts.stage, &with_guards(call, &piece.guards), 0)?;
        }
        let call = self.call().key(keys.redo()).key(keys.staged());
        let call = call.arg(sequence.to_string()).arg(Uuid::now_v7().to_string()).arg(pieces.len().to_string());
        self.run(writer, &scripts.publish, &call, self.home.options.replicas)?;
        writer.sequence = sequence;
        self.fold_all(writer)
    }

    /// Folds published pieces into the tables, in their order: what follows a deletion is there afterwards.
    fn fold_all(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let redo = self.home.keys.redo();
        let mut places: Vec<u64> = self
            .home
            .link
            .persist(&mut writer.connection, |connection| Ok(redis::cmd("HKEYS").arg(&redo).query(connection)?))?;
        places.sort_unstable();
        for place in places {
            let piece: Option<Vec<u8>> = self.home.link.persist(&mut writer.connection, |connection| {
                Ok(redis::cmd("HGET").arg(&redo).arg(place).query(connection)?)
            })?;
            let Some(bytes) = piece else { continue };
            let call = self.with_rows(self.call().key(redo.as_str()).arg(place.to_string()), &unpack(&bytes)?);
            self.run(writer, &self.home.scripts.fold, &call, 0)?;
        }
        Ok(())
    }

    /// Adds keys and rows to a call.
    fn with_rows(&self, mut call: Call, rows: &[Row]) -> Call {
        let mut places = HashMap::new();
        for row in rows {
            let place = *places.entry(row.table).or_insert_with(|| {
                call.keys.push(self.home.keys.table(row.table).into_bytes());
                call.keys.len()
            });
            let (mark, value) = match &row.effect {
                Effect::Set(value) => ("", value.clone()),
                Effect::Remove => ("-", Vec::new()),
                Effect::Clear => ("*", Vec::new()),
            };
            call.args.extend([format!("{mark}{place}").into_bytes(), row.key.clone(), value]);
        }
        call
    }

    /// Commits rows all together.
    fn write(&self, writer: &mut Writer, rows: Rows) -> Result<(), StoreError> {
        let pieces = split(rows);
        let sequence = writer.sequence + 1;
        match pieces.as_slice() {
            [piece] => self.commit_small(writer, sequence, piece)?,
            pieces => self.commit_large(writer, sequence, pieces)?,
        }
        writer.sequence = sequence;
        Ok(())
    }

    /// Adds outlines to the stages that an older version stored without them.
    fn outline_all(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let [stages, outlines] = [Table::Stages, Table::Outlines].map(|table| self.home.keys.table(table));
        let mut count = redis::pipe();
        count.atomic().cmd("HLEN").arg(&stages).cmd("HLEN").arg(&outlines);
        let (planned, outlined): (u64, u64) = self.read(|connection| Ok(count.query(connection)?))?;
        if planned == outlined {
            return Ok(());
        }
        let all: Pairs = self.read(|connection| Ok(redis::cmd("HGETALL").arg(&stages).query(connection)?))?;
        let row = |(key, text): (Vec<u8>, Vec<u8>)| {
            let record: StageRecord = decode("stages", &text)?;
            let effect = Effect::Set(outline::encode(&Outline::from(&record)));
            Ok(Row { table: Table::Outlines, key, effect })
        };
        let rows = all.into_iter().map(row).collect::<Result<_, StoreError>>()?;
        self.write(writer, Rows { rows, guards: Vec::new() })
    }

    fn renew(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let call = self.call().arg(writer.sequence.to_string());
        self.run(writer, &self.home.scripts.renew, &call, 0)
    }
}

/// Adds the highest allowed fences of the stages.
fn with_guards(mut call: Call, guards: &[Guard]) -> Call {
    call.args.push(guards.len().to_string().into_bytes());
    for guard in guards {
        call.args.extend([guard.stage.0.as_bytes().to_vec(), guard.lowest.0.to_string().into_bytes()]);
    }
    call
}

/// Returns the rows of a piece, and rows for the fences that it raises.
fn fenced(piece: &Piece) -> Vec<Row> {
    let granted = piece.guards.iter().filter(|guard| guard.highest > Fence(0));
    let fences = granted.map(|guard| Row {
        table: Table::Fences,
        key: guard.stage.0.as_bytes().to_vec(),
        effect: Effect::Set(guard.highest.0.to_string().into_bytes()),
    });
    piece.rows.iter().cloned().chain(fences).collect()
}

fn wait_for(connection: &mut Connection, replicas: u32, patience: Duration) -> Result<(), Trouble> {
    if replicas == 0 {
        return Ok(());
    }
    let have: u32 = redis::cmd("WAIT").arg(replicas).arg(patience.as_millis() as u64).query(connection)?;
    if have >= replicas {
        return Ok(());
    }
    Err(Trouble::passing_still(format!("{have} of {replicas} replicas have the last commit")))
}

impl Store for RedisStore {
    fn load(&self) -> Result<Snapshot, StoreError> {
        self.read_all()
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut writer = self.writer();
        if changes.is_empty() {
            if writer.confirmed.elapsed() < self.home.options.lease / 4 {
                return Ok(());
            }
            return self.renew(&mut writer);
        }
        self.write(&mut writer, Rows::of(changes)?)
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let meta = self.home.keys.meta();
        let found: Option<u64> = self.home.link.persist(&mut writer.connection, |connection| {
            Ok(redis::cmd("HGET").arg(&meta).arg("sequence").query(connection)?)
        })?;
        // The commit that failed may be there. Nobody else has committed if this process still leads.
        let known = writer.sequence;
        writer.sequence = found.filter(|found| *found == known + 1).unwrap_or(known);
        let call = self.call().arg(writer.sequence.to_string());
        self.run(&mut writer, &self.home.scripts.room, &call, 0)?;
        self.fold_all(&mut writer)
    }

    fn plans(&self, stages: &[StageId]) -> Result<BTreeMap<StageId, StageRecord>, StoreError> {
        let keys: Vec<&[u8]> = stages.iter().map(|id| &id.0.as_bytes()[..]).collect();
        let mut plans = BTreeMap::new();
        for (ids, keys) in stages.chunks(PLANS_AT_A_TIME).zip(keys.chunks(PLANS_AT_A_TIME)) {
            for (id, text) in ids.iter().zip(self.fields_of(Table::Stages, keys)?) {
                if let Some(text) = text {
                    plans.insert(*id, decode("stages", &text)?);
                }
            }
        }
        Ok(plans)
    }

    fn points(&self, stage: StageId) -> Result<Vec<Batch>, StoreError> {
        let batch = |(key, value): (Vec<u8>, Vec<u8>)| {
            let (fence, sequence) = (key_number("points", &key, 0)?, key_number("points", &key, 8)?);
            Ok(Batch { fence: Fence(fence), sequence, points: decode("points", &value)? })
        };
        self.rows_of(Table::Points(stage))?.into_iter().map(batch).collect()
    }

    fn grants(&self, stage: StageId) -> Result<Vec<(Fence, GrantRecord)>, StoreError> {
        let grant =
            |(key, value): (Vec<u8>, Vec<u8>)| Ok((Fence(key_number("grants", &key, 0)?), decode("grants", &value)?));
        self.rows_of(Table::Grants(stage))?.into_iter().map(grant).collect()
    }

    fn close(&self) {
        let mut writer = self.writer();
        // One attempt on the open connection: the lease ends by itself too.
        if let Some(connection) = &mut writer.connection
            && let Err(trouble) = self.home.scripts.resign.run(connection, &self.call())
        {
            tracing::warn!(?trouble, "could not give up the lead; it ends with its lease");
        }
    }
}
