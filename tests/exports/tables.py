"""Reads the exports of a report folder with other programs, and compares every value with points.csv and results.json.

usage: tables.py REPORT BUNDLE
"""

import csv
import hashlib
import json
import struct
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import duckdb
import numpy
import pandas
import polars
from rocrate.rocrate import ROCrate
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

KEYS = ["sweep", "cell", "method", "fraction", "policy", "seed"]
POINTS = [*KEYS, "stage", "kind", "first_of_stage", "lr", "split", "metric", "epoch", "step", "value"]


def bits(value):
    """A value that is equal to another only if all of its bits are."""
    return struct.pack("<d", value) if isinstance(value, float) else value


def rows(records):
    return [tuple(bits(value) for value in record) for record in records]


def readers(path, columns):
    """The rows of a file, by every reader."""
    yield "polars", polars.read_parquet(path).select(columns).rows()
    # With other types pandas has floats for counts that may be absent.
    frame = pandas.read_parquet(path, dtype_backend="numpy_nullable")[columns].astype(object)
    yield "pandas", [tuple(None if value is pandas.NA else value for value in row) for row in frame.itertuples(index=False)]
    names = ", ".join(f'"{column}"' for column in columns)
    yield "DuckDB", duckdb.sql(f"SELECT {names} FROM '{path}'").fetchall()


def same(name, what, found, expected):
    if found != expected:
        listed = [list(some.items()) if isinstance(some, dict) else some for some in (found, expected)]
        first = next((pair for pair in zip(*listed) if pair[0] != pair[1]), tuple(map(len, listed)))
        sys.exit(f"{name} reads other {what}: {first[0]} instead of {first[1]}")


def cell_rows(results):
    """The rows of cells.parquet, from results.json."""
    columns = [
        *KEYS, "split_seed", "state", "failure", "test_accuracy", "test_loss", "test_images", "nll", "ece15", "brier",
        "balanced_accuracy", "macro_f1", "mode", "predictions",
    ]
    stage = {
        "stage": "stage", "state": "state", "train_images": "train_images", "validation_images": "validation_images",
        "planned_steps": "planned_steps", "planned_images": "planned_images", "steps": "steps", "images": "images",
        "selected_epoch": "selected_epoch", "model": "model",
    }
    for kind in ["pretext", "downstream"]:
        columns += [f"{kind}_{name}" for name in stage]
        columns += [f"{kind}_validation_accuracy", f"{kind}_validation_loss"]
    expected = []
    for cell in results["cells"]:
        test, evaluation, error = cell["test"] or {}, cell["evaluation"] or {}, cell["error"] or {}
        row = [results["sweep"]["id"], cell["id"], cell["method"], cell["fraction"], cell["lr"], cell["seed"]]
        row += [cell["split_seed"], cell["state"], error.get("code"), test.get("accuracy"), test.get("loss")]
        row += [test.get("seen")]
        row += [evaluation.get(name) for name in ["nll", "ece15", "brier", "balanced_accuracy", "macro_f1"]]
        row += [cell["downstream"]["mode"], (cell["predictions"] or {}).get("artifact")]
        for kind in ["pretext", "downstream"]:
            trained = cell[kind] or {}
            row += [trained.get(name) for name in stage.values()]
            row += [(trained.get("validation") or {}).get(name) for name in ["accuracy", "loss"]]
        expected.append(tuple(row))
    return columns, expected


def point_rows(report, results):
    """The rows of points.parquet, from points.csv; the stages of a cell from results.json."""
    of_stage = {}
    with open(report / "points.csv", newline="") as file:
        for point in csv.DictReader(file):
            of_stage.setdefault(point["stage"], []).append(point)
    # results.json does not name test stages.
    frame = polars.read_parquet(report / "cells.parquet")
    extra = {row["cell"]: row for row in frame.iter_rows(named=True)}
    expected, seen = [], set()
    for cell in results["cells"]:
        more = extra[cell["id"]]
        stages = [(cell["pretext"] or {}).get("stage"), cell["downstream"]["stage"], more["test_stage"]]
        rates = [more["pretext_lr"], more["downstream_lr"], None]
        for stage, lr in zip(stages, rates):
            if stage is None:
                continue
            first = stage not in seen
            seen.add(stage)
            for point in of_stage.get(stage, []):
                key = (results["sweep"]["id"], cell["id"], cell["method"], cell["fraction"], cell["lr"], cell["seed"])
                place = (stage, point["kind"], first, lr, point["split"], point["metric"])
                value = (int(point["epoch"]), int(point["step"]), float(point["value"]))
                expected.append(key + place + value)
    if seen != set(of_stage):
        sys.exit("points.csv has stages that no cell has")
    return expected


def tensorboard(report, results, points):
    """Compares the runs of TensorBoard with the points of their cells."""
    by_cell = {}
    for point in points:
        row = dict(zip(POINTS, point))
        tag = f"{row['split']}/{row['metric']}" if row["kind"] == "test" else f"{row['kind']}/{row['split']}/{row['metric']}"
        # The format has single precision.
        by_cell.setdefault(row["cell"], []).append((tag, row["step"], float(numpy.float32(row["value"]))))
    for cell in results["cells"]:
        run = cell["id"].split("/", 1)[1].replace("/", "_")
        events = EventAccumulator(str(report / "tensorboard" / run), size_guidance={"scalars": 0})
        events.Reload()
        found = [(tag, event.step, event.value) for tag in events.Tags()["scalars"] for event in events.Scalars(tag)]
        same("TensorBoard", f"points of {run}", sorted(found), sorted(by_cell[cell["id"]]))
        start = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        parameters = HParamsPluginData.FromString(start).session_start_info.hparams
        found = [parameters["method"].string_value, parameters["fraction"].number_value, parameters["policy"].string_value]
        found.append(parameters["seed"].number_value)
        same("TensorBoard", f"parameters of {run}", found, [cell["method"], cell["fraction"], cell["lr"], cell["seed"]])


def served(report, results):
    """Asks TensorBoard for the test accuracies: its data server drops what it does not know without a word."""
    program = Path(sys.executable).parent / "tensorboard"
    command = [program, "--logdir", report / "tensorboard", "--port", "0", "--load_fast", "true"]
    expected = {
        cell["id"].split("/", 1)[1].replace("/", "_"): float(numpy.float32(cell["test"]["accuracy"]))
        for cell in results["cells"]
    }
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            url = next(word for line in process.stderr for word in line.split() if word.startswith("http://"))
            ask = f"{url.rstrip('/')}/data/plugin/scalars/scalars?tag=test/accuracy&run="
            found, deadline = None, time.monotonic() + 120
            # It answers before it has read everything.
            while found != expected and time.monotonic() < deadline:
                found = {run: json.load(urllib.request.urlopen(ask + run)) for run in expected}
                found = {run: points[0][2] if points else None for run, points in found.items()}
            same("TensorBoard's page", "test accuracies", found, expected)
        finally:
            process.terminate()


def bundle(path, report, results):
    """Checks the hashes of a bundle, and that it has every file of the report and every model."""
    with zipfile.ZipFile(path) as file:
        if file.testzip():
            sys.exit("the bundle is damaged")
        folder = results["sweep"]["id"] + "/"
        contents = {name.removeprefix(folder): file.read(name) for name in file.namelist()}
        file.extractall(report.parent / "unpacked")
    sums = dict(reversed(line.split("  ")) for line in contents.pop("SHA256SUMS").decode().splitlines())
    found = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    same("the bundle", "hashes", sorted(sums.items()), sorted(found.items()))
    for name in (report / "MANIFEST").read_text().split():
        same("the bundle", name, contents.get(name), (report / name).read_bytes())
    models = {cell[kind]["model"] for cell in results["cells"] for kind in ["pretext", "downstream"] if cell[kind]}
    same("the bundle", "models", sorted(name for name in contents if name.startswith("models/")), sorted(f"models/{id}" for id in models))
    same("the bundle", "sweep file", contents["sweep.yaml"].decode(), results["provenance"]["spec"])
    crate = ROCrate(report.parent / "unpacked" / results["sweep"]["id"])
    described = {entity.id for entity in crate.data_entities if entity.type == "File"}
    same("ro-crate-py", "files", sorted(described), sorted(set(contents) - {"ro-crate-metadata.json"}))


def main():
    report, packed = map(Path, sys.argv[1:])
    results = json.loads((report / "results.json").read_text())
    columns, expected = cell_rows(results)
    for name, found in readers(report / "cells.parquet", columns):
        same(name, "cells", rows(found), rows(expected))
    points = point_rows(report, results)
    for name, found in readers(report / "points.parquet", POINTS):
        same(name, "points", rows(found), rows(points))
    once = duckdb.sql(f"SELECT count(*) FROM '{report}/points.parquet' WHERE first_of_stage").fetchall()[0][0]
    same("DuckDB", "number of points", once, len((report / "points.csv").read_text().splitlines()) - 1)
    tensorboard(report, results, points)
    served(report, results)
    bundle(packed, report, results)
    print(json.dumps({"cells": len(expected), "points": len(points)}))


main()
