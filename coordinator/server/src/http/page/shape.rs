//! States as shapes that can be told apart without colours, with their names for screen readers.

use pretext_html::{Html, html};
use pretext_shared::sweep::{CellState, StageStatus};

/// Returns the state of a stage as a state of cells.
pub(super) fn of_stage(status: &StageStatus) -> CellState {
    match status {
        StageStatus::Pending => CellState::Pending,
        StageStatus::Running { .. } => CellState::Running,
        StageStatus::Succeeded(_) => CellState::Succeeded,
        StageStatus::Failed(_) => CellState::Failed,
        StageStatus::Cancelled => CellState::Cancelled,
    }
}

/// Returns the shape of a state: hollow, half, full with a tick, square with a cross, struck through.
pub(super) fn of(state: CellState) -> Html {
    let drawing = match state {
        CellState::Pending => html!("<circle cx=\"8\" cy=\"8\" r=\"5.6\" class=\"thin\"/>"),
        CellState::Running => {
            html!("<circle cx=\"8\" cy=\"8\" r=\"5.6\" class=\"thin\"/><path d=\"M8 2.4a5.6 5.6 0 0 1 0 11.2z\"/>")
        }
        CellState::Succeeded => {
            html!("<circle cx=\"8\" cy=\"8\" r=\"6.6\"/><path d=\"M4.9 8.2l2.2 2.2 4-4.5\" class=\"cut\"/>")
        }
        CellState::Failed => {
            html!(
                "<path d=\"M8 .8L15.2 8 8 15.2.8 8z\"/><path d=\"M5.9 5.9l4.2 4.2M10.1 5.9l-4.2 4.2\" class=\"cut\"/>"
            )
        }
        CellState::Cancelled => {
            html!("<circle cx=\"8\" cy=\"8\" r=\"5.6\" class=\"thin\"/><path d=\"M4 12L12 4\" class=\"thin\"/>")
        }
    };
    html!(
        "<svg class=\"shape {state}\" viewBox=\"0 0 16 16\" role=\"img\" aria-label=\"{state}\">{drawing}</svg>",
        state = state.as_str(),
        drawing = drawing,
    )
}

/// Returns a shape with its name.
pub(super) fn named(state: CellState) -> Html {
    html!("<span class=\"state {state}\">{shape}{state}</span>", state = state.as_str(), shape = of(state))
}

/// Returns the number of cells in each state, final states first.
pub(super) fn counts(counts: &[(CellState, usize)]) -> Html {
    let count = |(state, count): &(CellState, usize)| {
        html!(
            "<span class=\"state {state}\">{shape}<b>{count}</b> {state}</span>",
            state = state.as_str(),
            shape = of(*state),
            count = *count
        )
    };
    html!(
        "<span class=\"counts\">{}</span>",
        counts.iter().filter(|(_, count)| *count > 0).map(count).collect::<Html>()
    )
}

/// Returns the cells of each state as one bar.
pub(super) fn bar(counts: &[(CellState, usize)]) -> Html {
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    let share = |count: usize| 1000.0 * count as f64 / total.max(1) as f64;
    let mut x = 0.0;
    let pieces: Html = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| {
            let (from, width) = (x, share(*count));
            x += width;
            html!(
                "<rect class=\"{state}\" x=\"{x}\" width=\"{width}\" height=\"10\"/>",
                state = state.as_str(),
                x = format!("{from:.1}"),
                width = format!("{width:.1}")
            )
        })
        .collect();
    html!(
        "<svg class=\"share\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{}</svg>",
        pieces
    )
}

/// Returns a progress bar with its label.
pub(super) fn progress(done: u64, total: u64, words: &str) -> Html {
    html!(
        "<progress max=\"{total}\" value=\"{done}\" aria-label=\"{words}\"></progress>",
        total = total.max(1),
        done = done.min(total.max(1)),
        words = words
    )
}
