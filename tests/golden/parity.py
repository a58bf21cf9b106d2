"""Writes parity.json: the losses of fifty steps of training in PyTorch, in single and in double precision.

    cargo test --release -p pretext-trainer --lib parity_tests::export -- --ignored     # writes parity-start.json
    python -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.15.0 numpy scipy scikit-learn pytorch-metric-learning==2.9.0
    /tmp/golden/bin/python tests/golden/parity.py

Both sides start from parity-start.json: initial weights, pixels, the order of the images. Nothing is augmented. The test in
worker/trainer/src/train/parity_tests.rs trains with the product's own loop. The network is written here with PyTorch's functions;
NT-Xent is that of pytorch-metric-learning and is compared with the formula of the paper at every step; LARS is that of optim.py.
"""

import json
import pathlib

import numpy as np
import pytorch_metric_learning
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import NTXentLoss

from optim import Lars

HERE = pathlib.Path(__file__).parent
START = json.loads((HERE / "parity-start.json").read_text())
SIZE, BATCH, STEPS = START["size"], START["batch"], START["steps"]
TEMPERATURE = START["temperature"]


def image(sample):
    """As the loop makes it, in f32: bytes / 255, minus the mean, over the deviation."""
    planes = np.frombuffer(bytes.fromhex(START["pixels"][str(sample)]), dtype=np.uint8).reshape(3, SIZE, SIZE)
    unit = planes.astype(np.float32) / np.float32(255)
    mean, std = (np.array(START[key], dtype=np.float32).reshape(3, 1, 1) for key in ["mean", "std"])
    return (unit - mean) / std


def features(p, x):
    """The small network: a stem and residual blocks, batch statistics, the mean over the map."""

    def conv_bn(x, path, stride=1):
        weight = p[f"{path}.conv.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        return F.batch_norm(x, None, None, p[f"{path}.bn.gamma"], p[f"{path}.bn.beta"], training=True, eps=1e-5)

    x = F.relu(conv_bn(x, "encoder.stem"))
    for i in range(2):
        block, stride = f"encoder.blocks.{i}", 1 if i == 0 else 2
        skip = conv_bn(x, f"{block}.shortcut", stride) if f"{block}.shortcut.conv.weight" in p else x
        y = F.relu(conv_bn(x, f"{block}.a", stride))
        x = F.relu(conv_bn(y, f"{block}.b") + skip)
    return x.mean((2, 3))


def classes(p, x):
    return features(p, x) @ p["head.weight"] + p["head.bias"]


def projection(p, x):
    hidden = F.relu(features(p, x) @ p["head.hidden.weight"] + p["head.hidden.bias"])
    return hidden @ p["head.output.weight"] + p["head.output.bias"]


def nt_xent(z, n):
    """Equation 1 of the paper, term by term."""
    z = z / z.norm(dim=1, keepdim=True)
    s = z @ z.T / TEMPERATURE
    terms = [torch.logsumexp(torch.cat([s[i, :i], s[i, i + 1 :]]), 0) - s[i, (i + n) % (2 * n)] for i in range(2 * n)]
    return torch.stack(terms).mean()


def batches(task):
    for order in START["order"]:
        for at in range(0, len(order), BATCH):
            ids = order[at : at + BATCH]
            # A contrastive loss has full batches only.
            if task == "classes" or len(ids) == BATCH:
                yield ids


def optimizer_of(run, p):
    spec, lr = run["optimizer"], run["rate"]
    spared = [value for name, value in p.items() if name.rsplit(".")[-1] in ("bias", "gamma", "beta")]
    weights = [value for name, value in p.items() if name.rsplit(".")[-1] not in ("bias", "gamma", "beta")]
    groups = [{"params": weights, "weight_decay": spec["weight_decay"]}, {"params": spared, "weight_decay": 0.0}]
    if spec["kind"] == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=spec["momentum"])
    if spec["kind"] == "adam":
        return torch.optim.Adam(groups, lr=lr)
    groups[1]["adapt"] = False
    lars = Lars(groups, spec["momentum"], spec["trust"])
    for group in lars.param_groups:
        group["lr"] = lr
    return lars


def train(run, dtype):
    heads = {"classes": ["head.weight", "head.bias"], "pairs": [f"head.{a}.{b}" for a in ("hidden", "output") for b in ("weight", "bias")]}
    p = {}
    for name, weight in START["weights"].items():
        if name.startswith("encoder.") or name in heads[run["task"]]:
            values = np.array(weight["values"], dtype=np.float32).reshape(weight["shape"])
            p[name] = torch.tensor(values, dtype=dtype, requires_grad=True)
    optimizer = optimizer_of(run, p)
    losses = []
    for ids in batches(run["task"]):
        if len(losses) == STEPS:
            break
        x = torch.tensor(np.stack([image(sample) for sample in ids])).to(dtype)
        if run["task"] == "classes":
            labels = torch.tensor([START["labels"][str(sample)] for sample in ids])
            loss = F.cross_entropy(classes(p, x), labels)
        else:
            n = len(ids)
            z = projection(p, torch.cat([x, x.flip(3)]))
            loss = NTXentLoss(temperature=TEMPERATURE)(z, torch.arange(n).repeat(2))
            formula = nt_xent(z, n)
            assert abs(loss.item() - formula.item()) < 1e-5 * loss.item(), (loss.item(), formula.item())
        for value in p.values():
            value.grad = None
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    losses = {
        run["name"]: {"f32": train(run, torch.float32), "f64": train(run, torch.float64)} for run in START["runs"]
    }
    for name, both in losses.items():
        drift = max(abs(a - b) for a, b in zip(both["f32"], both["f64"]))
        print(f"{name}: {both['f64'][0]:.4f} to {both['f64'][-1]:.4f}, f32 from f64 at most {drift:.1e}")
    versions = f"torch {torch.__version__.split('+')[0]}, pytorch-metric-learning {pytorch_metric_learning.__version__}"
    golden = {"note": f"Written by tests/golden/parity.py with {versions}.", "losses": losses}
    (HERE / "parity.json").write_text(json.dumps(golden, indent=1) + "\n")
