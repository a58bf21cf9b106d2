//! `cells.parquet` and `points.parquet`: the numbers as tables with typed columns, for data frames and SQL.
//! `docs/exports.md` describes the columns.

mod cells;
mod column;
mod points;

pub use cells::cells;
pub use points::points;

/// Version of the columns, in the metadata of each file under `pretext.schema`. Columns are added to; the version rises
/// when one changes its meaning or goes.
pub const SCHEMA: u32 = 1;
