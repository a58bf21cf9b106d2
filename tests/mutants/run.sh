#!/usr/bin/env bash
# Tests the tests: applies each deliberate bug to a copy of the code, and checks that the tests find it.
#
#     tests/mutants/run.sh engine [SEEDS [PREFIX]]    bugs in the engine, found by the simulation
#     tests/mutants/run.sh spool [PREFIX]             bugs in a worker's spool and checkpoints, found by their tests
#
# Runs all bugs, or those whose name begins with PREFIX. Prints a row of a Markdown table for each, and fails if one is
# not found. Only the crates below the bugs are built, so that a bug takes seconds.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
case ${1:-engine} in
engine) kind=engine seeds=${2:-20000} folder="$root/tests/mutants" which=${3:-} ;;
spool) kind=spool folder="$root/tests/mutants/spool" which=${2:-} ;;
*) echo "unknown kind \`$1\`: use engine or spool" >&2 && exit 2 ;;
esac

# The same place at every run: Cargo would keep the build of each place.
base="${CARGO_TARGET_DIR:-$root/target}/mutants"
copy="$base/$kind"
log="$base/$kind.log"
export CARGO_TARGET_DIR="$base/target"
rm -rf "$copy"
mkdir -p "$copy"
cp -r "$root"/{Cargo.toml,Cargo.lock,rust-toolchain.toml,proto,shared,identity,coordinator,worker,tests} "$copy/"
cd "$copy"

build_engine() {
    cargo build --quiet --release --locked -p pretext-fast --bin simulate
}
# Prints the problem on standard output and returns 1; returns 0 if there is none. A panic of the engine is a problem too.
check_engine() {
    local status=0
    timeout 300 "$CARGO_TARGET_DIR/release/simulate" --seeds "$seeds" 2>"$log" || status=$?
    [ "$status" = 101 ] || return "$status"
    sed -n "/panicked at/ { s/^thread '[^']*' .*panicked at /panic at /; N; s/\n/ /; p; q }" "$log"
    return 1
}

build_spool() {
    cargo test --quiet --release --locked --no-run -p pretext-checkpoint -p pretext-daemon --lib
}
check_spool() {
    : >"$log"
    local worst=0
    spool_tests pretext-checkpoint || worst=1
    spool_tests pretext-daemon spool:: || worst=1
    [ "$worst" = 0 ] && return 0
    sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p; s/^unfinished: //p' "$log" | sort | paste -sd, | sed 's/,/, /g' |
        grep . || echo "a test program that ended early"
    return 1
}
# A test that waits forever has found the bug too.
spool_tests() {
    local status=0
    timeout 120 cargo test --release --locked -p "$1" --lib -- ${2:+"$2"} >>"$log" 2>/dev/null || status=$?
    [ "$status" != 124 ] || echo "unfinished: a test of $1 that does not end" >>"$log"
    return "$status"
}

if ! { "build_$kind" && "check_$kind" >"$base/found"; }; then
    echo "the copy without a bug does not pass:" >&2
    cat "$base/found" >&2
    exit 1
fi
echo "| bug | found by |"
echo "| --- | --- |"
missed=0
for patch in "$folder/$which"*.patch; do
    name=$(basename "$patch" .patch)
    if ! patch --quiet --forward --fuzz=0 --no-backup-if-mismatch -p1 <"$patch" >/dev/null; then
        echo "| $name | **does not apply** |"
        exit 1
    fi
    status=0
    "build_$kind" 2>"$log" && { "check_$kind" >"$base/found" || status=$?; } || status=build
    patch --quiet -R --no-backup-if-mismatch -p1 <"$patch"
    if [ "$status" = 1 ]; then
        echo "| $name | $(head -1 "$base/found" | cut -c1-160) |"
    else
        echo "| $name | **not found** (status $status) |"
        missed=$((missed + 1))
    fi
done
echo
echo "$missed not found"
exit $((missed > 0))
