"""Writes optim.json: results of PyTorch's optimizers and schedulers, in double precision.

    python -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.13.0 numpy
    /tmp/golden/bin/python tests/golden/optim.py > tests/golden/optim.json

The tests of worker/trainer/src/optim and worker/trainer/src/schedule.rs read it. LARS has no class in PyTorch: it is written out here with
torch operations, after `lars_optimizer.py` of google-research/simclr (classic momentum, no Nesterov step).
"""

import json
import math

import torch

STEPS = 6
# The toy model of worker/trainer/src/optim/mod.rs: a weight that decays and a bias that does not.
WEIGHT = [[0.5, -1.5], [2.0, 0.25]]
BIAS = [0.75, -0.5]


def gradient(step, i):
    return math.sin((step * 7 + i * 3) * 0.61)


def peak(step):
    # Above 1 at first: LARS recipes go to 4.8.
    return 2.0 / (1 + step)


class Lars(torch.optim.Optimizer):
    def __init__(self, groups, momentum, eeta):
        super().__init__(groups, {"lr": 1.0, "momentum": momentum, "eeta": eeta, "adapt": True})

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                g = p.grad.clone()
                trust = 1.0
                if group["adapt"]:
                    g = g + group["weight_decay"] * p.data
                    w_norm, g_norm = p.data.norm(), g.norm()
                    if w_norm > 0 and g_norm > 0:
                        trust = group["eeta"] * w_norm / g_norm
                state = self.state[p]
                v = state.get("v", torch.zeros_like(p.data))
                state["v"] = group["momentum"] * v + group["lr"] * trust * g
                p.data -= state["v"]


def run(spec, decay, weight):
    kind, wd = spec["kind"], spec["weight_decay"]
    w = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
    b = torch.tensor(BIAS, dtype=torch.float64, requires_grad=True)
    spared = 0.0 if decay == "weights" else wd
    groups = [{"params": [w], "weight_decay": wd}, {"params": [b], "weight_decay": spared}]
    if kind == "sgd":
        optimizer = torch.optim.SGD(groups, lr=1.0, momentum=spec["momentum"])
    elif kind == "nesterov":
        optimizer = torch.optim.SGD(groups, lr=1.0, momentum=spec["momentum"], nesterov=True)
    elif kind == "adam":
        optimizer = torch.optim.Adam(groups, lr=1.0)
    elif kind == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=1.0)
    else:
        groups[1]["adapt"] = False
        optimizer = Lars(groups, spec["momentum"], spec["trust"])
    scale = 1.0 if kind == "lars" else 0.05
    for step in range(STEPS):
        g = [gradient(step, i) for i in range(6)]
        # The weight's gradient is zero once: a trust ratio of 0/0 must be 1.
        if step == 3:
            g[:4] = [0.0] * 4
        w.grad = torch.tensor([g[:2], g[2:4]], dtype=torch.float64)
        b.grad = torch.tensor(g[4:], dtype=torch.float64)
        for group in optimizer.param_groups:
            group["lr"] = scale * peak(step)
        optimizer.step()
    values = w.detach().flatten().tolist() + b.detach().tolist()
    return {"optimizer": spec, "decay": decay, "scale": scale, "start": weight, "values": values}


def optimizers():
    zero = [[0.0, 0.0], [0.0, 0.0]]
    sgd = {"kind": "sgd", "momentum": 0.9, "weight_decay": 0.1}
    lars = {"kind": "lars", "momentum": 0.9, "weight_decay": 0.1, "trust": 0.05}
    return [
        run(sgd, "weights", WEIGHT),
        run(sgd, "all", WEIGHT),
        run({"kind": "sgd", "momentum": 0.0, "weight_decay": 0.0}, "weights", WEIGHT),
        run({"kind": "nesterov", "momentum": 0.9, "weight_decay": 0.1}, "weights", WEIGHT),
        run({"kind": "nesterov", "momentum": 0.5, "weight_decay": 0.1}, "all", WEIGHT),
        run({"kind": "adam", "weight_decay": 0.1}, "weights", WEIGHT),
        run({"kind": "adam", "weight_decay": 0.1}, "all", WEIGHT),
        run({"kind": "adamw", "weight_decay": 0.1}, "weights", WEIGHT),
        run({"kind": "adamw", "weight_decay": 0.1}, "all", WEIGHT),
        run(lars, "weights", WEIGHT),
        # A weight that starts at zero.
        run({**lars, "weight_decay": 0.0}, "weights", zero),
        run({**lars, "momentum": 0.0}, "weights", WEIGHT),
    ]


def lars_by_hand():
    """The two steps of the reference notes: w = (3, 4), g = (.6, .8)."""
    w = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    optimizer = Lars([{"params": [w], "weight_decay": 0.01}], 0.9, 0.001)
    seen = []
    for _ in range(2):
        w.grad = torch.tensor([0.6, 0.8], dtype=torch.float64)
        optimizer.param_groups[0]["lr"] = 2.0
        optimizer.step()
        seen.append(w.detach().tolist())
    assert all(abs(a - b) < 1e-6 for a, b in zip(sum(seen, []), [2.994, 3.992, 2.982612, 3.976816])), seen


def rates(make, base, steps, every=1):
    """The rates of `steps` steps; the scheduler is stepped after every `every` of them."""
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=base, momentum=0.9)
    scheduler = make(optimizer)
    out = []
    for step in range(steps):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % every == 0:
            scheduler.step()
    return out


def simclr(base, warmup, total):
    """`learning_rate_schedule` of google-research/simclr's model_util.py."""
    def rate(step):
        if warmup > 0 and step < warmup:
            return step / warmup * base
        return base * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
    return [rate(step) for step in range(total + 1)]


def schedules():
    from torch.optim import lr_scheduler as torch_lr

    out = []

    def add(name, lr, steps_per_epoch, total_steps, values):
        out.append({"name": name, "lr": lr, "steps_per_epoch": steps_per_epoch, "total_steps": total_steps, "rates": values})

    cosine = lambda base, warmup: {"kind": "cosine", "base": base, "warmup_epochs": warmup}
    # Without warm-up SimCLR's cosine is PyTorch's.
    add("CosineAnnealingLR", cosine(2.0, 0.0), 10, 100, rates(lambda o: torch_lr.CosineAnnealingLR(o, 100), 2.0, 101))
    # Warm-up and then PyTorch's cosine from its own step 0.
    warm = lambda o: torch_lr.SequentialLR(
        o,
        [torch_lr.LambdaLR(o, lambda t: t / 20), torch_lr.CosineAnnealingLR(o, 80)],
        milestones=[20],
    )
    add("LambdaLR, CosineAnnealingLR", cosine(4.8, 2.0), 10, 100, rates(warm, 4.8, 100))
    add("simclr", cosine(1.0, 1.0), 10, 100, simclr(1.0, 10, 100))
    add("simclr, large", cosine(4.8, 2.0), 7, 140, simclr(4.8, 14, 140))
    step = lambda base, gamma, milestones: {"kind": "step", "base": base, "gamma": gamma, "milestones": milestones}
    multi = lambda milestones, gamma: lambda o: torch_lr.MultiStepLR(o, milestones, gamma)
    add("MultiStepLR", step(0.1, 0.2, [2, 5, 6]), 3, 24, rates(multi([2, 5, 6], 0.2), 0.1, 24, every=3))
    # RotNet's table, one step an epoch: .1, .02, .004, .0008.
    add("rotnet", step(0.1, 0.2, [60, 120, 160]), 1, 200, rates(multi([60, 120, 160], 0.2), 0.1, 200))
    for base, total, pct, div, final in [(1.0, 100, 0.3, 25.0, 1e4), (4.8, 40, 0.25, 10.0, 100.0), (0.01, 7, 0.5, 25.0, 1e4)]:
        one = lambda o: torch_lr.OneCycleLR(
            o, max_lr=base, total_steps=total, pct_start=pct, div_factor=div, final_div_factor=final
        )
        lr = {"kind": "one-cycle", "base": base, "pct_start": pct, "div_factor": div, "final_div_factor": final}
        values = []
        parameter = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.SGD([parameter], lr=base, momentum=0.9)
        scheduler = one(optimizer)
        for t in range(total):
            values.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if t + 1 < total:
                scheduler.step()
        add(f"OneCycleLR {base}", lr, 10, total, values)
    for mode, shape, gamma in [
        ("triangular", "triangular", 1.0),
        ("triangular2", "triangular2", 1.0),
        ("exp_range", {"exp-range": {"gamma": 0.97}}, 0.97),
    ]:
        for base, low, half in [(1.0, 0.1, 4), (3.0, 0.25, 6)]:
            make = lambda o: torch_lr.CyclicLR(
                o, base_lr=low * base, max_lr=base, step_size_up=half, mode=mode, gamma=gamma, cycle_momentum=False
            )
            lr = {"kind": "cyclical", "base": base, "low": low, "half_cycle_epochs": half / 2, "shape": shape}
            add(f"CyclicLR {mode} {base}", lr, 2, 40, rates(make, low * base, 40))
    return out


if __name__ == "__main__":
    lars_by_hand()
    note = f"Written by tests/golden/optim.py with torch {torch.__version__.split('+')[0]}."
    print(json.dumps({"note": note, "optimizers": optimizers(), "schedules": schedules()}, indent=1))
