//! The choice of cells: by method, fraction, policy, seed, state or key. Values of one name are alternatives.

use pretext_engine::CellNews;
use pretext_shared::split::Fraction;
use pretext_shared::stage::Method;
use pretext_shared::sweep::{Cell, CellState};

use super::error::ApiError;
use super::query::Query;

/// See the module. An empty list chooses everything.
#[derive(Debug)]
pub(super) struct Choice {
    methods: Vec<Method>,
    fractions: Vec<Fraction>,
    policies: Vec<String>,
    seeds: Vec<u64>,
    states: Vec<CellState>,
    keys: Vec<String>,
}

impl Choice {
    /// The names in a query.
    pub(super) const NAMES: [&str; 6] = ["method", "fraction", "lr", "seed", "state", "cell"];

    /// Reads the choice of a query.
    ///
    /// # Errors
    /// A value that is unknown.
    pub(super) fn of(query: &Query) -> Result<Self, ApiError> {
        use CellState::{Cancelled, Failed, Pending, Running, Succeeded};
        let state = |text: &str| {
            [Pending, Running, Succeeded, Failed, Cancelled].into_iter().find(|state| state.as_str() == text)
        };
        let method = |text: &str| Method::ALL.into_iter().find(|method| method.to_string() == text);
        Ok(Self {
            methods: query.each("method", method)?,
            fractions: query.each("fraction", |text| text.parse().ok())?,
            policies: query.all("lr").map(str::to_owned).collect(),
            seeds: query.each("seed", |text| text.parse().ok())?,
            states: query.each("state", state)?,
            keys: query.all("cell").map(str::to_owned).collect(),
        })
    }

    /// Returns whether the choice has this cell.
    pub(super) fn has(&self, cell: &Cell, news: &CellNews) -> bool {
        let key = &cell.key;
        among(&self.methods, &key.method)
            && among(&self.fractions, &key.fraction)
            && among(&self.policies, &key.lr)
            && among(&self.seeds, &key.seed)
            && among(&self.states, &news.state)
            && (self.keys.is_empty() || self.keys.contains(&key.to_string()))
    }
}

fn among<T: PartialEq>(list: &[T], value: &T) -> bool {
    list.is_empty() || list.contains(value)
}
