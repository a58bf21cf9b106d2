"""Compares convolution layers on one thread, as Markdown: ours (worker/trainer/benches/layers.rs) and PyTorch's with channels
last.

    python tests/bench/layers.py LAYERS-BENCH-BINARY [ROUNDS]

GFLOP/s of the direct sum: forward / gradient of the input / gradient of the weight; medians over the rounds.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict

import torch

SPAN = 0.4
PARTS = ["forward", "input", "weight"]


def rate(work, gflop):
    work()
    begin, runs = time.perf_counter(), 0
    while time.perf_counter() - begin < SPAN:
        work()
        runs += 1
    return gflop * runs / (time.perf_counter() - begin)


def pytorch(n, cin, size, cout, k, stride):
    def random(*shape):
        return torch.rand(shape).mul_(2).sub_(1).contiguous(memory_format=torch.channels_last)

    x, weight = random(n, cin, size, size), random(cout, cin, k, k)
    forward = lambda: torch.nn.functional.conv2d(x, weight, None, stride, k // 2)
    y = forward()
    dy = random(*y.shape)
    gflop = 2e-9 * y.numel() * cin * k * k

    def backward(*wanted):
        return lambda: torch.ops.aten.convolution_backward(
            dy, x, weight, None, [stride] * 2, [k // 2] * 2, [1, 1], False, [0, 0], 1, [*wanted, False]
        )

    with torch.no_grad():
        works = [forward, backward(True, False), backward(False, True)]
        return {part: rate(work, gflop) for part, work in zip(PARTS, works)}


def main():
    bench, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    torch.set_num_threads(1)
    rates = defaultdict(list)
    for _ in range(rounds):
        environment = {**os.environ, "MIMALLOC_PURGE_DELAY": "-1"}
        out = subprocess.run([bench], check=True, capture_output=True, text=True, env=environment).stdout
        for run in map(json.loads, out.splitlines()):
            layer = tuple(run["layer"])
            theirs = pytorch(*layer)
            for part in PARTS:
                rates[layer, "Pretext", part].append(run[part])
                rates[layer, "PyTorch", part].append(theirs[part])
    layers = list(dict.fromkeys(key[0] for key in rates))
    print("| layer (batch), GFLOP/s | Pretext | PyTorch |")
    print("|---|---|---|")
    for layer in layers:
        n, cin, size, cout, k, stride = layer
        name = f"{cin}→{cout}, {k}×{k}, {size} px" + (f", stride {stride}" if stride > 1 else "") + f" ({n})"
        cells = (" / ".join(f"{statistics.median(rates[layer, who, part]):.0f}" for part in PARTS) for who in ("Pretext", "PyTorch"))
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
