//! Reads sweeps from the core piece by piece, so that a page about ten thousand cells never holds up the core thread. The
//! pieces are of slightly different moments, which a page corrects with its next update.

use std::collections::BTreeSet;

use pretext_engine::Standing;
use pretext_shared::ids::StageId;

use super::roster::{Roster, RosterError};
use crate::core::Core;

/// Stages of a piece: well below a millisecond on the core thread.
const PIECE: usize = 500;

/// Returns the whole sweep.
pub(super) async fn of_sweep(core: &Core, roster: &Roster) -> Result<Standing, RosterError> {
    let mut standing = bare(core, roster).await?;
    standing.cells = roster.cells.to_vec();
    add_stages(core, &mut standing).await?;
    Ok(standing)
}

/// Returns the sweep with only the cell at `place`.
pub(super) async fn of_cell(core: &Core, roster: &Roster, place: usize) -> Result<Standing, RosterError> {
    let mut standing = bare(core, roster).await?;
    standing.cells = roster.cells.get(place).cloned().into_iter().collect();
    let had_ended = |ended: Vec<u32>| if ended.contains(&(place as u32)) { vec![0] } else { Vec::new() };
    standing.cancelled = standing.cancelled.map(had_ended);
    add_stages(core, &mut standing).await?;
    Ok(standing)
}

async fn bare(core: &Core, roster: &Roster) -> Result<Standing, RosterError> {
    let id = roster.sweep.clone();
    core.call(move |engine, _| engine.bare_standing(&id)).await?.map_err(|_| RosterError::Unknown)
}

async fn add_stages(core: &Core, standing: &mut Standing) -> Result<(), RosterError> {
    let ids: BTreeSet<StageId> = standing.cells.iter().flat_map(|cell| cell.stages()).collect();
    let ids: Vec<StageId> = ids.into_iter().collect();
    for piece in ids.chunks(PIECE) {
        let piece = piece.to_vec();
        let stages = core.call(move |engine, _| engine.stages_in_brief(&piece)).await?;
        standing.stages.extend(stages.into_iter().map(|brief| (brief.stage, brief.status)));
    }
    Ok(())
}
