"""Compares SimCLR views per second of one CPU, as Markdown: ours (worker/trainer/benches/views.rs) and torchvision's three ways to
make them.

    python tests/bench/views.py VIEWS-BENCH-BINARY [ROUNDS]

Both start from an image of the size of the view, as our program stores them; medians over the rounds.
"""

import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict

import numpy as np
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import v2

SPAN = 2.0


def rate(view):
    for _ in range(3):
        view()
    begin, views = time.perf_counter(), 0
    while time.perf_counter() - begin < SPAN:
        view()
        views += 1
    return views / (time.perf_counter() - begin)


def pipeline(made_of, size, last):
    jitter = made_of.RandomApply([made_of.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8)
    crop = [made_of.RandomResizedCrop(size), made_of.RandomHorizontalFlip()]
    return [*crop, jitter, made_of.RandomGrayscale(0.2), *last]


def torchvision(size):
    """Returns views per second for each kind of image that torchvision accepts."""
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    picture, tensor = Image.fromarray(image), torch.from_numpy(image).permute(2, 0, 1).contiguous()
    to_float = v2.ToDtype(torch.float32, scale=True)
    pil = transforms.Compose(pipeline(transforms, size, [transforms.ToTensor()]))
    bytes_first = v2.Compose(pipeline(v2, size, [to_float]))
    float_first = v2.Compose([to_float, *pipeline(v2, size, [])])
    return {
        "PIL": rate(lambda: pil(picture)),
        "v2, uint8": rate(lambda: bytes_first(tensor)),
        "v2, float": rate(lambda: float_first(tensor)),
    }


def main():
    views, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    torch.set_num_threads(1)
    rates = defaultdict(list)
    for _ in range(rounds):
        out = subprocess.run([views], check=True, capture_output=True, text=True).stdout
        for run in map(json.loads, out.splitlines()):
            rates[run["size"], "Pretext"].append(run["views_per_second"])
        for size in (32, 224):
            for name, found in torchvision(size).items():
                rates[size, name].append(found)
    names = ["Pretext", "PIL", "v2, uint8", "v2, float"]
    print("| SimCLR views per second of one CPU | " + " | ".join(names) + " | ratio to the fastest |")
    print("|---|" + "---|" * (len(names) + 1))
    for size in (32, 224):
        own, *others = (statistics.median(rates[size, name]) for name in names)
        print(f"| {size} px | {own:.0f} | " + " | ".join(f"{other:.0f}" for other in others) + f" | {own / max(others):.1f} |")


if __name__ == "__main__":
    main()
