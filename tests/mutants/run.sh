#!/usr/bin/env bash
# Tests the tests: applies each deliberate bug to a copy of the code, and checks that the tests find it.
#
#     tests/mutants/run.sh engine [SEEDS [PREFIX]]    bugs in the engine, found by the simulation
#     tests/mutants/run.sh spool [PREFIX]             bugs in a worker's spool and checkpoints, found by their tests
#
# Runs all bugs, or those whose name begins with PREFIX. Prints a line for each, and fails if one is not found. A copy
# has only the code with the bugs and the code that finds them, so that a bug is built within seconds.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/mutants"

# workspace MEMBERS: writes the copy's manifest, with the versions and the profile of the root's. Crates of the root that
# are not copied are left out.
workspace() {
    cp -r "$root/shared" "$copy/shared"
    cp "$root/Cargo.lock" "$root/rust-toolchain.toml" "$copy/"
    sed '/^members = \[/,/^\]/c members = ['"$1"']' "$root/Cargo.toml" |
        awk '/^\[profile.release.package/ { exit } { print }' >"$copy/Cargo.toml"
}

# manifest NAME DEPENDENCIES
manifest() {
    printf '[package]\nname = "%s"\nversion.workspace = true\nedition.workspace = true\n\n[dependencies]\n' "$1"
    shift
    printf '%s.workspace = true\n' "$@"
}

copy_engine() {
    workspace '"shared", "coordinator/engine", "tests"'
    mkdir -p "$copy"/{coordinator,tests/src/bin}
    cp -r "$root/coordinator/engine" "$copy/coordinator/"
    cp -r "$root/tests/src/simulation" "$copy/tests/src/"
    cp "$root/tests/src/bin/simulate.rs" "$copy/tests/src/bin/"
    echo '//! The simulation alone.
pub mod simulation;' >"$copy/tests/src/lib.rs"
    manifest pretext-tests pretext-engine pretext-shared fastrand uuid >"$copy/tests/Cargo.toml"
}
build_engine() {
    cargo build --quiet --release --offline -p pretext-tests --bin simulate
}
# Prints the problem on standard output and returns 1; returns 0 if there is none.
check_engine() {
    timeout 300 "$CARGO_TARGET_DIR/release/simulate" --seeds "$seeds" 2>/dev/null
}

copy_spool() {
    workspace '"shared", "worker", "tests/power-loss"'
    mkdir -p "$copy"/{worker/src,tests}
    cp -r "$root/tests/power-loss" "$copy/tests/"
    cp -r "$root"/worker/src/{spool,checkpoint} "$copy/worker/src/"
    echo '//! The spool and checkpoints alone.
#![allow(missing_docs, unused, unreachable_patterns)]
pub mod checkpoint;
pub mod spool;' >"$copy/worker/src/lib.rs"
    {
        manifest worker pretext-shared blake3 redb serde serde_json thiserror tokio tracing
        printf '\n[dev-dependencies]\n'
        printf '%s.workspace = true\n' pretext-power-loss tempfile
    } >"$copy/worker/Cargo.toml"
}
build_spool() {
    cargo test --quiet --release --offline -p worker --lib --no-run
}
# A test that waits forever has found the bug too.
check_spool() {
    local status=0
    timeout 120 cargo test --release --offline -p worker --lib >"$copy/log" 2>/dev/null || status=$?
    [ "$status" = 0 ] && return 0
    sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$copy/log" | sort | paste -sd' ' | grep . ||
        echo "a test that does not end (status $status)"
    return 1
}

case ${1:-engine} in
engine) kind=engine seeds=${2:-20000} folder="$root/tests/mutants" which=${3:-} ;;
spool) kind=spool folder="$root/tests/mutants/spool" which=${2:-} ;;
*) echo "unknown kind \`$1\`: use engine or spool" >&2 && exit 2 ;;
esac

"copy_$kind"
cd "$copy"
if ! { "build_$kind" && "check_$kind" >"$copy/sound"; }; then
    echo "the copy without a bug does not pass:" && cat "$copy/sound"
    exit 1
fi
missed=0
for patch in "$folder/$which"*.patch; do
    name=$(basename "$patch" .patch)
    if ! patch --quiet -p1 --forward <"$patch" >"$copy/patched"; then
        printf '%-50s DOES NOT APPLY\n' "$name"
        exit 1
    fi
    status=0
    "build_$kind" && { "check_$kind" >"$copy/found" || status=$?; } || status=build
    patch --quiet -R -p1 <"$patch"
    if [ "$status" = 1 ]; then
        printf '%-50s %s\n' "$name" "$(head -1 "$copy/found" | cut -c1-120)"
    else
        printf '%-50s NOT FOUND (status %s)\n' "$name" "$status"
        missed=$((missed + 1))
    fi
done
echo "$missed not found"
exit $((missed > 0))
