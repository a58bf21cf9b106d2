#!/usr/bin/env bash
# Runs the long sweeps whose results are committed below docs/evidence/. Usage: campaign.sh FOLDER-OF-PROGRAMS
#
# Each run keeps its state, so an interrupted campaign resumes where it stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$1
state=${PRETEXT_CAMPAIGN_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pretext/campaign}
data=../shared/data

# Runs examples/NAME.yaml. All runs share one state, so that sweeps share their stages. The report is in $state/NAME.
run() {
    "$bin/coordinator" run "examples/$1.yaml" --data-root "$data" --state-dir "$state" --out "$state/$1" >/dev/null
}

# Prints the report of NAME without its title.
report() {
    tail -n +3 "$state/$1/report.md"
}

minutes() {
    echo $(((SECONDS - $1 + 59) / 60))
}

cifar10() {
    local start=$SECONDS
    run cifar10
    {
        echo "# CIFAR-10, the study's protocol"
        echo
        echo "Made by \`make campaign\`, which runs"
        echo
        echo "    coordinator run examples/cifar10.yaml --data-root ../shared/data"
        echo
        echo "in $(minutes "$start") minutes on $(nproc) CPU cores. The pictures are JPEG files, so do not compare the numbers"
        echo "with those of the binary release."
        echo
        report cifar10
    } >docs/evidence/cifar10.md
    echo "docs/evidence/cifar10.md is written"
}

# The tables that docs/evidence/science.md refers to.
ladder() {
    local start=$SECONDS
    run ladder-cifar10-tune
    run ladder-cifar10-probe
    {
        echo "# The ladder's third rung: the reports"
        echo
        echo "Made by \`make campaign\`, which runs"
        echo
        echo "    coordinator run examples/ladder-cifar10-tune.yaml --data-root ../shared/data"
        echo "    coordinator run examples/ladder-cifar10-probe.yaml --data-root ../shared/data"
        echo
        echo "in $(minutes "$start") minutes on $(nproc) CPU cores. The second sweep reuses the pretext stages of the first."
        echo "[science.md](science.md) discusses the results. The pictures are JPEG files, so do not compare the numbers with"
        echo "those of the binary release."
        echo
        echo "# Fine-tuned"
        echo
        report ladder-cifar10-tune
        echo
        echo "# Frozen"
        echo
        report ladder-cifar10-probe
    } >docs/evidence/ladder.md
    echo "docs/evidence/ladder.md is written"
}

if [ ! -d "$data/cifar10" ]; then
    echo "skipped: there is no $data/cifar10" >&2
else
    cifar10
    ladder
fi
