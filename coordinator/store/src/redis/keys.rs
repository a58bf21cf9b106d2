//! The layout of keys. All have one hash tag, so that in a cluster they are on one node, and one script may use any of
//! them.
//!
//! | key `{NAMESPACE}:…` | type | content |
//! |---|---|---|
//! | `meta` | hash | format, id of the store, sequence and id of the last commit, term, holder, name, first fence |
//! | `leader` | string, expires | holder of the lead |
//! | `sweeps`, `marks` | hash | by sweep id: JSON |
//! | `stages`, `progress` | hash | by the stage's 32 bytes: JSON |
//! | `outlines` | hash | by the stage's 32 bytes: the part of a plan that the scheduler needs, derived from `stages` |
//! | `data` | hash | by the 32 bytes of a data set's fingerprint: JSON, `null` for a removed data set |
//! | `fences` | hash | by the stage's 32 bytes: the highest fence, decimal |
//! | `points:STAGE` | hash | by fence and sequence (big-endian): a batch of points, JSON |
//! | `grants:STAGE` | hash | by fence (big-endian): JSON |
//! | `staged`, `redo` | hash | pieces of a large commit, before and after it was published |

use super::super::row::Table;

/// The names of all keys of one store.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    tag: String,
}

impl Keys {
    pub(super) fn new(namespace: &str) -> Self {
        Self { tag: format!("{{{namespace}}}") }
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.tag)
    }

    pub(super) fn meta(&self) -> String {
        self.key("meta")
    }

    pub(super) fn leader(&self) -> String {
        self.key("leader")
    }

    pub(super) fn staged(&self) -> String {
        self.key("staged")
    }

    pub(super) fn redo(&self) -> String {
        self.key("redo")
    }

    pub(super) fn table(&self, table: Table) -> String {
        match table {
            Table::Sweeps => self.key("sweeps"),
            Table::Marks => self.key("marks"),
            Table::Stages => self.key("stages"),
            Table::Outlines => self.key("outlines"),
            Table::Progress => self.key("progress"),
            Table::Data => self.key("data"),
            Table::Fences => self.key("fences"),
            Table::Points(stage) => self.key(&format!("points:{stage}")),
            Table::Grants(stage) => self.key(&format!("grants:{stage}")),
            Table::Meta => self.meta(),
        }
    }
}
