//! The program `coordinator`: everything is in [`coordinator::cli`].

use std::process::ExitCode;

/// A restart with a large sweep allocates hundreds of thousands of small values in several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    coordinator::cli::main()
}
