"""Writes augment.json: results and draws of torchvision's transforms.

    python -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.13.0 torchvision==0.28.0 numpy
    /tmp/golden/bin/python tests/golden/augment.py > tests/golden/augment.json

The tests in worker/data/src/augment/golden.rs read it: single operations on one image, and the distributions of the draws.
"""

import json
import math

import torch
import torchvision
from torchvision import transforms
from torchvision.transforms.v2 import functional as F

SIZE = 40
DRAWS = 100_000


def image():
    """The image of the Rust test: a byte is i * 89 % 251."""
    values = [(i * 89 % 251) / 255 for i in range(3 * SIZE * SIZE)]
    return torch.tensor(values, dtype=torch.float64).reshape(3, SIZE, SIZE).float()


def sample(tensor):
    """Every 97th value: enough to tell any two results apart."""
    return [round(v, 7) for v in tensor.flatten()[::97].tolist()]


def operations():
    x = image()
    return {
        "brightness 1.4": sample(F.adjust_brightness(x, 1.4)),
        "contrast 0.6": sample(F.adjust_contrast(x, 0.6)),
        "saturation 1.7": sample(F.adjust_saturation(x, 1.7)),
        "hue 0.1": sample(F.adjust_hue(x, 0.1)),
        "hue -0.3": sample(F.adjust_hue(x, -0.3)),
        "grayscale": sample(F.rgb_to_grayscale(x, num_output_channels=3)),
        # A tenth of 40 pixels, made odd as SimCLR does: 2 * (4 // 2) + 1.
        "blur 0.1": sample(F.gaussian_blur(x, [5, 5], [0.1, 0.1])),
        "blur 0.8": sample(F.gaussian_blur(x, [5, 5], [0.8, 0.8])),
        "blur 2": sample(F.gaussian_blur(x, [5, 5], [2.0, 2.0])),
    }


def deciles(values):
    ordered = torch.tensor(values, dtype=torch.float64).sort().values
    return [round(ordered[int(len(values) * d / 10)].item(), 5) for d in range(1, 10)]


def crops(size, low):
    blank = torch.zeros(3, size, size)
    areas, aspects, places, whole = [], [], [], 0
    for _ in range(DRAWS):
        top, left, h, w = transforms.RandomResizedCrop.get_params(blank, (low, 1.0), (3 / 4, 4 / 3))
        areas.append(h * w / (size * size))
        aspects.append(math.log(w / h))
        whole += (h, w) == (size, size)
        if size > h:
            places.append(top / (size - h))
    return {
        "size": size,
        "min_area": low,
        "area": deciles(areas),
        "mean_area": sum(areas) / DRAWS,
        "log_aspect": deciles(aspects),
        "place": deciles(places),
    }


def jitter(s):
    """SimCLR's ColorJitter(0.8 s, 0.8 s, 0.8 s, 0.2 s)."""
    t = transforms.ColorJitter(0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s)
    draws = [t.get_params(t.brightness, t.contrast, t.saturation, t.hue) for _ in range(DRAWS)]
    names = ["brightness", "contrast", "saturation", "hue"]
    return {"strength": s, **{name: deciles([float(d[i + 1]) for d in draws]) for i, name in enumerate(names)}}


if __name__ == "__main__":
    torch.manual_seed(0)
    versions = f"torch {torch.__version__.split('+')[0]}, torchvision {torchvision.__version__.split('+')[0]}"
    print(json.dumps({
        "note": f"Written by tests/golden/augment.py with {versions}.",
        "operations": operations(),
        "crops": [crops(32, 0.08), crops(224, 0.08), crops(28, 0.5)],
        "jitter": [jitter(0.5), jitter(1.0)],
    }, indent=1))
