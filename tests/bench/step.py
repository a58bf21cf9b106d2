"""Measures training steps (forward, backward, SGD with momentum) of the networks of worker/trainer/benches/step.rs in PyTorch on
the CPU: one line of JSON per case. The inputs are random and the same for every step: unlike ours, these steps neither
draw nor augment a batch.

    python tests/bench/step.py THREADS [CASE...]
"""

import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.skip = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.skip(x), inplace=True)


def network(width, blocks, large_stem):
    if large_stem:
        layers = [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        layers.append(nn.MaxPool2d(3, 2, 1))
    else:
        layers = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    inputs = width
    for stage, count in enumerate(blocks):
        outputs = width << stage
        for block in range(count):
            layers.append(Block(inputs, outputs, 2 if stage and not block else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 3))


CASES = {
    "small-cnn": (16, [1, 1, 1], False, 64, 32, 60),
    "resnet18-32": (64, [2, 2, 2, 2], False, 16, 32, 12),
    "resnet18-224": (64, [2, 2, 2, 2], True, 4, 224, 12),
}


def measure(name, threads, channels_last):
    width, blocks, large, batch, size, steps = CASES[name]
    torch.manual_seed(0)
    model = network(width, blocks, large)
    inputs, labels = torch.randn(batch, 3, size, size), torch.randint(0, 3, (batch,))
    if channels_last:
        model, inputs = model.to(memory_format=torch.channels_last), inputs.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    times = []
    for _ in range(steps + 2):
        begin = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        times.append(time.perf_counter() - begin)
    median = sorted(times[2:])[steps // 2]
    return {
        "case": name,
        "threads": threads,
        "layout": "channels-last" if channels_last else "default",
        "images_per_second": round(batch / median, 2),
        "step_ms": round(median * 1e3, 3),
    }


if __name__ == "__main__":
    threads = int(sys.argv[1])
    torch.set_num_threads(threads)
    for case in sys.argv[2:] or CASES:
        # PyTorch's default layout and the layout that we use; we compare with the faster of the two.
        for channels_last in (False, True):
            print(json.dumps(measure(case, threads, channels_last)), flush=True)
