"""Runs the scripts of examples/replay with stand-ins for W&B and MLflow, and compares what those get with the report.

usage: replay.py SCRIPTS REPORT
"""

import collections
import json
import runpy
import sys
import types
from pathlib import Path

import polars

scripts, report = map(Path, sys.argv[1:])
cells = {row["cell"]: row for row in polars.read_parquet(report / "cells.parquet").iter_rows(named=True)}
expected = collections.defaultdict(list)
for row in polars.read_parquet(report / "points.parquet").iter_rows(named=True):
    name = f"{row['kind']}/{row['split']}/{row['metric']}"
    expected[row["cell"].split("/", 1)[1]].append((name, row["step"], row["value"]))


def replay(name, *arguments):
    sys.argv = [name, str(report), *arguments]
    runpy.run_path(str(scripts / name), run_name="__main__")


def same(tracker, found):
    if {name: sorted(points) for name, points in found.items()} != {name: sorted(points) for name, points in expected.items()}:
        sys.exit(f"{tracker} got other points")
    return len(found)


class Run:
    """A run of W&B. Each value belongs to the step of its stage that is logged with it."""

    def __init__(self, points):
        self.points, self.summary = points, {}

    def define_metric(self, name, step_metric=None):
        pass

    def log(self, values):
        ((kind, step),) = [(name.removesuffix("/step"), step) for name, step in values.items() if name.endswith("/step")]
        self.points += [(name, step, value) for name, value in values.items() if name != f"{kind}/step"]

    def finish(self, exit_code):
        if (exit_code, self.summary["state"]) != (0, "succeeded"):
            sys.exit("W&B got another state")


def wandb():
    found = {}

    def init(project, id, name, group, config):
        found[name] = []
        return Run(found[name])

    sys.modules["wandb"] = types.SimpleNamespace(init=init)
    replay("wandb_replay.py", "--project", "study")
    return same("W&B", found)


def mlflow():
    found, scores = {}, {}
    Metric = collections.namedtuple("Metric", "key value timestamp step")

    class Client:
        def get_experiment_by_name(self, name):
            return None

        def create_experiment(self, name):
            return name

        def search_runs(self, experiments, where):
            return []

        def create_run(self, experiment, run_name, tags):
            found[run_name], scores[tags["pretext.cell"]] = [], {}
            self.cell, self.name = tags["pretext.cell"], run_name
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id=run_name))

        def log_batch(self, run, metrics=(), params=(), tags=()):
            for metric in metrics:
                if "/" in metric.key:
                    found[run].append((metric.key, metric.step, metric.value))
                else:
                    scores[self.cell][metric.key] = metric.value

        def set_terminated(self, run, status):
            if status != "FINISHED":
                sys.exit("MLflow got another state")

    pair = collections.namedtuple("Pair", "key value")
    sys.modules["mlflow"] = types.SimpleNamespace(MlflowClient=Client)
    sys.modules["mlflow.entities"] = types.SimpleNamespace(Metric=Metric, Param=pair, RunTag=pair)
    replay("mlflow_replay.py", "--experiment", "study")
    for cell, row in cells.items():
        if scores[cell]["test_accuracy"] != row["test_accuracy"]:
            sys.exit(f"MLflow got another accuracy of {cell}")
    return same("MLflow", found)


json.dump({"wandb": wandb(), "mlflow": mlflow()}, sys.stdout)
