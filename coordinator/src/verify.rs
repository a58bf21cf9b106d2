//! `coordinator verify`: checks the guarantees of a sweep against the store.

use std::path::{Path, PathBuf};

use clap::Args;
use pretext_engine::{Engine, Limits};
use pretext_shared::text::{self, counted};
use pretext_shared::verification::{Harm, Verification};
use pretext_store::Store;
use pretext_store::verify;
use pretext_store::view;
use serde::Serialize;

use super::backup::open_store;
use super::console::{Console, Show};
use super::error::CliError;
use crate::remote::{Remote, connect};
use crate::report::open_artifacts;
use crate::verdict::Verdict;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The sweep's id, or an unambiguous beginning of it
    #[arg(value_name = "SWEEP")]
    pub(super) sweep: String,
    /// Check the embedded store in this state directory, which no running coordinator may use
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// The folder or URL of the artifacts, as for `serve` [default: artifacts in the state directory]
    #[arg(long, value_name = "DIR|URL", requires = "state_dir")]
    pub(super) artifacts: Option<String>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Serialize)]
struct Verified(Verification);

impl Show for Verified {
    fn text(&self) -> String {
        let Verified(found) = self;
        let checked = &found.checked;
        let mut text = format!(
            "{}: lost = {}, doubled = {}\nchecked {} over {}, {}, {}, {}, {}\n",
            found.sweep,
            found.lost,
            found.doubled,
            found.invariants.join(" "),
            counted(checked.cells, "cell"),
            counted(checked.stages, "stage"),
            counted(checked.attempts, "attempt"),
            counted(checked.points, "point"),
            counted(checked.artifacts, "artifact")
        );
        for finding in &found.findings {
            let harm = match finding.harm {
                Harm::Lost => "lost",
                Harm::Doubled => "doubled",
                Harm::Wrong => "wrong",
            };
            text += &format!("{} {harm}: {}\n", finding.invariant, text::line(&finding.seen));
        }
        text
    }
}

/// Checks a sweep; with findings, the exit code is 1.
pub(super) async fn verify(args: VerifyArgs, console: &Console) -> Result<Verdict, CliError> {
    let verification = match &args.state_dir {
        Some(folder) => offline(folder, args.artifacts.as_deref(), &args.sweep).await?,
        None => connect(&args.remote).await?.verify(&args.sweep).await?,
    };
    let sound = verification.findings.is_empty();
    console.show(&Verified(verification))?;
    Ok(if sound { Verdict::Good } else { Verdict::SomeFailed })
}

/// Checks a sweep in a store that no coordinator uses.
async fn offline(folder: &Path, artifacts: Option<&str>, sweep: &str) -> Result<Verification, CliError> {
    let store = open_store(folder)?;
    let failed = |error: pretext_store::StoreError| CliError::environment(error.to_string());
    let engine = Engine::restore(Limits::default(), store.load().map_err(failed)?, 0);
    let id = engine.find_sweep(sweep).map_err(|refusal| CliError::input(refusal.to_string()))?;
    let standing = engine.standing(&id).map_err(|refusal| CliError::input(refusal.to_string()))?;
    let evidence = verify::collect(&store, &id).map_err(failed)?;
    let evidence = evidence.ok_or_else(|| CliError::input(format!("no sweep `{id}` in {}", folder.display())))?;
    let view = view::of_plans(standing, evidence.plans()).map_err(failed)?;
    let artifacts = open_artifacts(artifacts, folder).await?;
    let checked = tokio::task::spawn_blocking(move || {
        let artifact = |id| artifacts.blocking_read(id).map(drop).map_err(|error| error.to_string());
        verify::verify(&evidence, &view, &artifact, &|_| None)
    });
    checked.await.map_err(|error| CliError::environment(error.to_string()))
}
