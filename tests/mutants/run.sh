#!/usr/bin/env bash
# The test of the test: applies each deliberate bug of this folder to a copy of the engine and lets the simulation find
# it. Usage: tests/mutants/run.sh [SEEDS [PREFIX]]: all bugs, or those
# whose name begins with PREFIX. Prints a line for each, and fails if one is not found.
#
# The copy has the engine, the planner and the simulation only, so that a bug is built within seconds.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
seeds=${1:-20000}
which=${2:-}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/mutants"

mkdir -p "$copy"/{coordinator/src,tests/src/bin}
cp -r "$root/shared" "$copy/shared"
cp -r "$root"/coordinator/src/{engine,build.rs,submission.rs} "$copy/coordinator/src/"
cp -r "$root/tests/src/simulation" "$copy/tests/src/"
cp "$root/tests/src/bin/simulate.rs" "$copy/tests/src/bin/"
cp "$root/Cargo.lock" "$root/rust-toolchain.toml" "$copy/"
sed 's/^members = .*/members = ["shared", "coordinator", "tests"]/; /^pretext-proto = /d' "$root/Cargo.toml" |
    awk '/^\[profile.release.package/ { exit } { print }' >"$copy/Cargo.toml"
echo '//! The engine alone.
#![allow(missing_docs, unused, unreachable_patterns)]
pub mod build;
pub mod engine;
pub mod submission;' >"$copy/coordinator/src/lib.rs"
echo '//! The simulation alone.
pub mod simulation;' >"$copy/tests/src/lib.rs"
manifest() {
    printf '[package]\nname = "%s"\nversion.workspace = true\nedition.workspace = true\n\n[dependencies]\n' "$1"
    shift
    printf '%s.workspace = true\n' "$@"
}
manifest coordinator pretext-shared serde thiserror uuid >"$copy/coordinator/Cargo.toml"
manifest pretext-tests coordinator pretext-shared fastrand uuid >"$copy/tests/Cargo.toml"

cd "$copy"
build() {
    cargo build --quiet --release --offline -p pretext-tests --bin simulate
}
simulate() {
    timeout 300 "$CARGO_TARGET_DIR/release/simulate" --seeds "$seeds" 2>/dev/null
}
if ! { build && simulate >"$copy/sound"; }; then
    echo "the engine without a bug does not pass:" && cat "$copy/sound"
    exit 1
fi
missed=0
for patch in "$root"/tests/mutants/${which}*.patch; do
    name=$(basename "$patch" .patch)
    patch --quiet -p1 <"$patch"
    status=0
    build && { simulate >"$copy/found" || status=$?; } || status=build
    patch --quiet -R -p1 <"$patch"
    if [ "$status" = 1 ]; then
        printf '%-45s %s\n' "$name" "$(head -1 "$copy/found" | cut -c1-120)"
    else
        printf '%-45s NOT FOUND by %s seeds (status %s)\n' "$name" "$seeds" "$status"
        missed=$((missed + 1))
    fi
done
echo "$missed not found"
exit $((missed > 0))
