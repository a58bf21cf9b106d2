//! Says when the disk of a run is almost full. The programs of the run wait then, and a person must know why.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use pretext_shared::text::size;

use crate::console::Console;

/// Time between two looks.
const PACE: Duration = Duration::from_secs(1);
/// A disk with less room is almost full, or one with less than a twentieth of its size if that is less.
const LITTLE: u64 = 512 << 20;

/// Says when there is little room below `folder`, and when there is more again.
pub(super) async fn say_when_little(folder: &Path, console: &Console) -> Infallible {
    let mut was_little = false;
    loop {
        let looked = folder.to_owned();
        // A look may hang, as on a network disk that does not answer.
        let room = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&looked)).await;
        if let Ok(Ok(room)) = room {
            let (left, whole) =
                (room.f_bavail.saturating_mul(room.f_frsize), room.f_blocks.saturating_mul(room.f_frsize));
            let is_little = left < LITTLE.min(whole / 20);
            let shown = folder.display();
            match (was_little, is_little) {
                (false, true) => console.terminal.say(&format!(
                    "warning: the disk of {shown} is almost full ({} left): what finds no room waits until you make room",
                    size(left)
                )),
                (true, false) => console.terminal.say(&format!("there is room again on the disk of {shown}")),
                _ => {}
            }
            was_little = is_little;
        }
        tokio::time::sleep(PACE).await;
    }
}
