//! Checks before `coordinator run` starts anything: names of folders, the place of the report, the loopback interface.
//! A mistake is then found in a second, and not after the training.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pretext_report::WriteError;

use super::arguments::RunArgs;
use crate::error::CliError;

/// Longest wait for a connection of this machine to itself.
const LOOPBACK: Duration = Duration::from_secs(2);

/// Checks the folders that the arguments name.
pub(super) fn folders(args: &RunArgs) -> Result<(), CliError> {
    text("--data-root", &args.data_root)?;
    text("--state-dir", &args.state_dir)?;
    report(args.out.as_deref().unwrap_or(Path::new("pretext-report")))
}

/// Refuses a folder whose whole path is not UTF-8: the worker's messages and lists of files are text.
fn text(flag: &str, path: &Path) -> Result<(), CliError> {
    let whole = resolved(path)
        .map_err(|error| CliError::environment(format!("cannot find the folder {}: {error}", path.display())))?;
    let Some(part) = whole.components().map(|part| part.as_os_str()).find(|part| part.to_str().is_none()) else {
        return Ok(());
    };
    // The bytes that are no text are shown as \xE9.
    Err(CliError::Input {
        message: format!("the folder of {flag} is {}: its part {part:?} is not UTF-8", whole.display()),
        help: Some(format!("rename that folder, or give {flag} another one")),
    })
}

/// Returns the absolute path with links resolved, as far as it exists.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let whole = std::path::absolute(path)?;
    let existing = whole.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let Some((above, canonical)) = existing else { return Ok(whole) };
    Ok(match whole.strip_prefix(above) {
        Ok(rest) if rest.as_os_str().is_empty() => canonical,
        Ok(rest) => canonical.join(rest),
        Err(_) => whole,
    })
}

/// Checks that a report can be written to `out`, and leaves nothing there.
fn report(out: &Path) -> Result<(), CliError> {
    let refused = |error: WriteError| CliError::from(error);
    let whole = std::path::absolute(out).map_err(|error| {
        CliError::environment(format!("cannot find the folder of --out {}: {error}", out.display()))
    })?;
    let existing = whole.ancestors().find(|above| above.symlink_metadata().is_ok()).unwrap_or(Path::new("/"));
    if !existing.is_dir() {
        return Err(refused(WriteError::NotAFolder { path: existing.to_owned() }));
    }
    if existing == whole && existing.join("results.json").exists() && !existing.join("MANIFEST").exists() {
        return Err(refused(WriteError::NotAReport { path: out.to_owned() }));
    }
    // The file has no name, or one that no report uses, and goes at once.
    match tempfile::tempfile_in(existing) {
        Ok(_) => Ok(()),
        Err(error) => Err(CliError::Environment {
            message: format!("the report cannot be written to {}: {}: {error}", out.display(), existing.display()),
            help: Some("name another place for the report with --out".to_owned()),
        }),
    }
}

/// Returns the address of this machine by which its programs reach each other.
pub(super) fn loopback() -> Result<IpAddr, CliError> {
    let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let mut reasons = Vec::new();
    for ip in addresses {
        match reaches_itself(ip) {
            Ok(()) => return Ok(ip),
            Err(error) => reasons.push(format!("{ip}: {error}")),
        }
    }
    Err(CliError::Environment {
        message: format!(
            "this machine cannot reach itself through its loopback interface ({}): coordinator and worker talk through it",
            reasons.join("; ")
        ),
        help: Some("set it up (`ip link set lo up`), or run where the sandbox or the batch system has one".to_owned()),
    })
}

fn reaches_itself(ip: IpAddr) -> io::Result<()> {
    let listener = TcpListener::bind(SocketAddr::new(ip, 0))?;
    TcpStream::connect_timeout(&listener.local_addr()?, LOOPBACK).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn this_machine_reaches_itself() {
        assert!(loopback().is_ok_and(|ip| ip.is_loopback()));
        // An address of documentation, which no machine has.
        assert!(reaches_itself("192.0.2.1".parse().expect("an address")).is_err());
    }

    #[test]
    fn a_report_that_could_not_be_written_is_refused_before() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |path: &str| folder.path().join(path);
        assert!(report(&at("new/below/it")).is_ok());
        assert!(fs::read_dir(folder.path()).expect("readable").next().is_none(), "nothing is left");
        fs::write(at("file"), "").expect("writable");
        for path in ["file", "file/below"] {
            let error = report(&at(path)).expect_err("a file");
            assert!(error.to_string().contains("file is not a folder") && error.exit_code() == 2, "{error}");
        }
        fs::create_dir(at("other")).expect("a folder");
        fs::write(at("other/results.json"), "{}").expect("writable");
        assert!(report(&at("other")).expect_err("somebody's").to_string().contains("no report wrote"));
        fs::write(at("other/MANIFEST"), "results.json\n").expect("writable");
        assert!(report(&at("other")).is_ok());
        // Not even root can write there.
        if Path::new("/proc/self").is_dir() {
            let error = report(Path::new("/proc/self/report")).expect_err("no folder can be made there");
            assert!(error.exit_code() == 4 && error.to_string().contains("/proc/self/report"), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_whose_name_is_not_text_is_named() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        let folder = tempfile::tempdir().expect("a temporary folder");
        let latin1 = folder.path().join(OsStr::from_bytes(b"caf\xe9"));
        fs::create_dir(&latin1).expect("a file system that takes any bytes");
        let error = text("--state-dir", &latin1.join("new")).expect_err("not UTF-8");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(r#"its part "caf\xE9" is not UTF-8"#), "{error}");
        // A link with a good name leads there all the same.
        std::os::unix::fs::symlink(&latin1, folder.path().join("link")).expect("a link");
        assert!(text("--data-root", &folder.path().join("link")).is_err());
        assert!(text("--data-root", folder.path()).is_ok());
    }
}
