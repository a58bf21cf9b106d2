"""Replays a report into MLflow: one run a cell, with every point, the parameters and the test scores.

    coordinator report SWEEP --out report
    pip install mlflow-skinny polars          # or mlflow
    MLFLOW_TRACKING_URI=http://HOST:5000 python mlflow_replay.py report --experiment my-study

Replaying again replaces the runs. A pretext stage that several cells share is in the run of each of them.
"""

import argparse
from pathlib import Path

import polars
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("report", type=Path, help="a report folder")
arguments.add_argument("--experiment", required=True)
given = arguments.parse_args()

PARAMETERS = ["sweep", "method", "fraction", "policy", "seed", "split_seed", "mode", "pretext_lr", "downstream_lr"]
SCORES = ["test_accuracy", "test_loss", "nll", "ece15", "brier", "balanced_accuracy", "macro_f1"]
STATUS = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
BATCH = 1000  # MLflow takes no more metrics at once

client = MlflowClient()
experiment = client.get_experiment_by_name(given.experiment)
experiment = experiment.experiment_id if experiment else client.create_experiment(given.experiment)
points = polars.read_parquet(given.report / "points.parquet").partition_by("cell", as_dict=True)
for cell in polars.read_parquet(given.report / "cells.parquet").iter_rows(named=True):
    for old in client.search_runs([experiment], f"tags.`pretext.cell` = '{cell['cell']}'"):
        client.delete_run(old.info.run_id)
    name = cell["cell"].split("/", 1)[1]
    run = client.create_run(experiment, run_name=name, tags={"pretext.cell": cell["cell"]}).info.run_id
    parameters = [Param(name, str(cell[name])) for name in PARAMETERS if cell[name] is not None]
    # Points have no time of their own; MLflow orders them by step.
    metrics = [Metric(name, cell[name], 0, 0) for name in SCORES if cell[name] is not None]
    own = points.get((cell["cell"],))
    for kind, split, metric, step, value in own.select("kind", "split", "metric", "step", "value").rows() if own is not None else []:
        metrics.append(Metric(f"{kind}/{split}/{metric}", value, 0, step))
    client.log_batch(run, params=parameters, tags=[RunTag("state", cell["state"])])
    for first in range(0, len(metrics), BATCH):
        client.log_batch(run, metrics=metrics[first : first + BATCH])
    if cell["state"] in STATUS:
        client.set_terminated(run, STATUS[cell["state"]])
