//! Faults of the simulation: every seed switches some faults on and others off, so that rare ones also occur alone.

use fastrand::Rng;

/// Chances, each in a thousand for every opportunity.
#[derive(Debug, Clone)]
pub(super) struct Faults {
    pub(super) drop: u32,
    pub(super) duplicate: u32,
    pub(super) straggle: u32,
    /// The process dies between applying requests and committing them.
    pub(super) crash_before: u32,
    /// The process dies between committing and answering.
    pub(super) crash_after: u32,
    /// A trainer process dies, at a step.
    pub(super) crashed: u32,
    /// A device runs out of memory, at a step.
    pub(super) memory: u32,
    /// Training diverges, at a step.
    pub(super) diverged: u32,
    /// A stage kills its machine whenever it is run.
    pub(super) poison: u32,
    pub(super) mischief: Vec<Mischief>,
}

/// Faults of machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mischief {
    KillWorker,
    PauseWorker,
    CutWorker,
    StopWorker,
    SickenWorker,
    HealWorker,
    CrashCoordinator,
    PauseCoordinator,
    JumpClock,
    JumpWallClock,
    Backup,
    RollBack,
}

impl Faults {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let mut some = |most: u32| if rng.bool() { rng.u32(0..=most) } else { 0 };
        let (drop, duplicate, straggle) = (some(200), some(150), some(100));
        let (crash_before, crash_after) = (some(15), some(15));
        let (crashed, memory, diverged, poison) = (some(120), some(40), some(20), some(150));
        use Mischief::*;
        let mut mischief: Vec<Mischief> = [
            KillWorker,
            PauseWorker,
            CutWorker,
            StopWorker,
            SickenWorker,
            HealWorker,
            CrashCoordinator,
            PauseCoordinator,
            JumpClock,
            JumpWallClock,
        ]
        .into_iter()
        .filter(|_| rng.bool())
        .collect();
        if rng.u32(0..4) == 0 {
            mischief.extend([Backup, RollBack]);
        }
        Self { drop, duplicate, straggle, crash_before, crash_after, crashed, memory, diverged, poison, mischief }
    }

    /// Returns the setting in which machines are sick, and nothing else goes wrong.
    pub(super) fn only_sick() -> Self {
        Self { mischief: vec![Mischief::SickenWorker], ..Self::none() }
    }

    /// Returns the setting without faults.
    pub(super) fn none() -> Self {
        Self {
            drop: 0,
            duplicate: 0,
            straggle: 0,
            crash_before: 0,
            crash_after: 0,
            crashed: 0,
            memory: 0,
            diverged: 0,
            poison: 0,
            mischief: Vec::new(),
        }
    }
}
