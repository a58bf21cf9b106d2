#!/usr/bin/env bash
# The long runs whose results are committed below docs/. Usage: campaign.sh FOLDER-OF-PROGRAMS
#
# Each run keeps its state, so a campaign that was cut goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$1
state=${PRETEXT_CAMPAIGN_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pretext/campaign}

data=../shared/data
if [ ! -d "$data/cifar10" ]; then
    echo "skipped examples/cifar10.yaml: there is no $data/cifar10" >&2
else
    start=$SECONDS
    "$bin/coordinator" run examples/cifar10.yaml --data-root "$data" --state-dir "$state" --out "$state/cifar10" >/dev/null
    {
        echo "# CIFAR-10, the study's protocol"
        echo
        echo "Made by \`make campaign\`, which runs"
        echo
        echo "    coordinator run examples/cifar10.yaml --data-root ../shared/data"
        echo
        echo "in $(((SECONDS - start + 59) / 60)) minutes on $(nproc) CPU cores. The pictures are JPEG files, so the numbers cannot"
        echo "be compared with those of the binary release."
        echo
        tail -n +3 "$state/cifar10/report.md"
    } >docs/cifar10.md
    echo "docs/cifar10.md is written"
fi
