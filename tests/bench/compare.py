"""Compares training steps with PyTorch's: runs both in turns and prints medians and ratios as Markdown.

    python tests/bench/compare.py STEP-BENCH-BINARY [ROUNDS]

A round is one run of ours and one of PyTorch's for each case and number of threads, so that other work of the machine
affects both.
"""

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = ["small-cnn", "resnet18-32", "resnet18-224"]


def lines(command):
    # The product's trainer processes have this setting too: freed pages stay with the process.
    environment = {**os.environ, "MIMALLOC_PURGE_DELAY": "-1"}
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return [json.loads(line) for line in out.splitlines()]


def main():
    step, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    rates, parts = defaultdict(list), {}
    for turn in range(rounds):
        for case in CASES:
            for run in lines([step, case]):
                rates[case, run["threads"], "pretext"].append(run["images_per_second"])
                parts[case, run["threads"]] = run["ms_per_step"] | {"step": run["step_ms"]}
            for threads in (1, 2):
                for run in lines([sys.executable, os.path.join(HERE, "step.py"), str(threads), case]):
                    rates[case, threads, run["layout"]].append(run["images_per_second"])
        print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    median = {key: statistics.median(values) for key, values in rates.items()}
    print("| network | threads | Pretext | PyTorch, default layout | PyTorch, channels last | ratio to default | ratio to the faster |")
    print("|---|---|---|---|---|---|---|")
    for case in CASES:
        for threads in (1, 2):
            own, default, last = (median[case, threads, k] for k in ("pretext", "default", "channels-last"))
            best = max(default, last)
            print(f"| {case} | {threads} | {own:.1f} | {default:.1f} | {last:.1f} | {own / default:.2f} | {own / best:.2f} |")
    print()
    names = list(next(iter(parts.values())))
    print("| ms per step (last round) | threads | " + " | ".join(names) + " |")
    print("|---|---|" + "---|" * len(names))
    for (case, threads), spent in parts.items():
        print(f"| {case} | {threads} | " + " | ".join(f"{spent[name]:.2f}" for name in names) + " |")


if __name__ == "__main__":
    main()
