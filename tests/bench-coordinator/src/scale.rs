//! The sizes of a run.

use std::time::Duration;

/// A load of stages to hand out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Cells of all sweeps together.
    pub(crate) cells: u64,
    /// Number of stub workers, each with a connection.
    pub(crate) workers: u32,
    /// Slots of each worker: each has one call at a time.
    pub(crate) slots: u32,
    /// The sweeps that the cells are in.
    pub(crate) shape: Shape,
}

impl Load {
    /// Returns the number of calls at a time.
    pub(crate) fn in_flight(&self) -> u32 {
        self.workers * self.slots
    }
}

/// How cells are spread over sweeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One sweep.
    One,
    /// One sweep with `max_parallel`.
    Narrow(u32),
    /// Twenty sweeps with `max_parallel`, of which every second one was cancelled.
    Twenty(u32),
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    /// Time of each raw loop.
    pub(crate) raw: Duration,
    /// The loads of stages.
    pub(crate) dispatch: Vec<Load>,
    /// Longest time of each load.
    pub(crate) dispatch_limit: Duration,
    /// Streams of points, a multiple of eight.
    pub(crate) streams: u32,
    /// Time of each load of points.
    pub(crate) points: Duration,
    /// Workers of the idle fleet.
    pub(crate) fleet: u32,
    /// Cells that wait for devices that the idle fleet does not have.
    pub(crate) waiting: Vec<u64>,
    /// Time over which the idle fleet is watched.
    pub(crate) idle: Duration,
    /// Cells of the sweeps to submit.
    pub(crate) submit: Vec<u64>,
    /// Cells of the sweep to look at.
    pub(crate) views: u64,
    /// Cells of the sweeps in the store at a restart.
    pub(crate) restart: Vec<u64>,
    /// Repetitions of looks and restarts, of which the median counts.
    pub(crate) repetitions: usize,
}

impl Scale {
    /// Returns sizes that show only whether the bench works.
    pub(crate) fn quick() -> Self {
        let load = |shape| Load { cells: 40, workers: 2, slots: 4, shape };
        Self {
            raw: Duration::from_millis(50),
            dispatch: vec![load(Shape::One), load(Shape::Narrow(2))],
            dispatch_limit: Duration::from_secs(20),
            streams: 8,
            points: Duration::from_millis(300),
            fleet: 10,
            waiting: vec![0, 40],
            idle: Duration::from_millis(300),
            submit: vec![80],
            views: 40,
            restart: vec![40],
            repetitions: 1,
        }
    }

    /// Returns the sizes of the published tables.
    pub(crate) fn usual() -> Self {
        let load = |cells, workers, shape| Load { cells, workers, slots: 8, shape };
        let dispatch = vec![
            load(400, 8, Shape::One),
            load(4_000, 8, Shape::One),
            load(20_000, 8, Shape::One),
            load(4_000, 32, Shape::One),
            load(20_000, 32, Shape::One),
            load(4_000, 8, Shape::Narrow(8)),
            load(8_000, 8, Shape::Twenty(8)),
        ];
        Self {
            raw: Duration::from_secs(1),
            dispatch,
            dispatch_limit: Duration::from_secs(30),
            streams: 256,
            points: Duration::from_secs(8),
            fleet: 1_000,
            waiting: vec![0, 100_000],
            idle: Duration::from_secs(20),
            submit: vec![1_000, 10_000, 100_000],
            views: 100_000,
            restart: vec![10_000, 100_000],
            repetitions: 3,
        }
    }

    /// Returns the usual sizes, and the largest sweep that a file can have for the dispatch too.
    pub(crate) fn large() -> Self {
        let mut scale = Self::usual();
        let load = |workers, shape| Load { cells: 100_000, workers, slots: 8, shape };
        scale.dispatch.extend([load(8, Shape::One), load(32, Shape::One), load(8, Shape::Narrow(8))]);
        scale.dispatch_limit = Duration::from_secs(120);
        scale
    }
}
