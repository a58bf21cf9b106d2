"""Replays a report into Weights & Biases: one run a cell, with every point, the parameters and the test scores.

    coordinator report SWEEP --out report
    pip install wandb polars
    python wandb_replay.py report --project my-study

With WANDB_MODE=offline nothing is sent; `wandb sync` sends it later. Replaying again replaces the runs. A pretext stage
that several cells share is in the run of each of them.
"""

import argparse
import hashlib
from pathlib import Path

import polars
import wandb

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("report", type=Path, help="a report folder")
arguments.add_argument("--project", required=True)
given = arguments.parse_args()

PARAMETERS = ["sweep", "method", "fraction", "policy", "seed", "split_seed", "mode", "pretext_lr", "downstream_lr"]
SCORES = ["state", "test_accuracy", "test_loss", "nll", "ece15", "brier", "balanced_accuracy", "macro_f1"]

points = polars.read_parquet(given.report / "points.parquet").partition_by("cell", as_dict=True)
for cell in polars.read_parquet(given.report / "cells.parquet").iter_rows(named=True):
    run = wandb.init(
        project=given.project,
        id=hashlib.sha256(cell["cell"].encode()).hexdigest()[:16],  # the same cell is the same run
        name=cell["cell"].split("/", 1)[1],
        group=f"{cell['method']} {cell['fraction']} {cell['policy']}",
        config={name: cell[name] for name in PARAMETERS if cell[name] is not None},
    )
    # Each stage counts its own steps, so that each has an x axis of its own.
    for kind in ["pretext", "downstream", "test"]:
        run.define_metric(f"{kind}/step")
        run.define_metric(f"{kind}/*", step_metric=f"{kind}/step")
    own = points.get((cell["cell"],))
    for (kind, step), at in own.group_by(["kind", "step"], maintain_order=True) if own is not None else []:
        values = {f"{kind}/{split}/{metric}": value for split, metric, value in at.select("split", "metric", "value").rows()}
        run.log({f"{kind}/step": step, **values})
    run.summary.update({name: cell[name] for name in SCORES if cell[name] is not None})
    run.finish(exit_code=1 if cell["state"] == "failed" else 0)
