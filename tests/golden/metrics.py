"""Writes metrics.json: numbers with the results of scipy, scikit-learn, statsmodels and pycalib for them.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python metrics.py

The coordinator's tests compare their results with the file (coordinator/report/src/golden.rs).
"""

import itertools
import json
import pathlib
import platform

import numpy as np
import scipy
import sklearn
import statsmodels
from pycalib.metrics import conf_ECE
from scipy import stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

RANDOM = np.random.default_rng(20260101)


def classification(name, n, classes, weights, sharpness, drop=None):
    """A test set with probabilities rounded as `predictions.csv` rounds them."""
    labels = RANDOM.choice(classes, size=n, p=weights)
    logits = RANDOM.normal(size=(n, classes)) * sharpness
    logits[np.arange(n), labels] += sharpness
    if drop is not None:
        logits[:, drop] -= 12.0  # a class that is never predicted
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    predicted = logits.argmax(axis=1)
    shares = np.array([[float(f"{p:.6e}") for p in row] for row in shares])
    every = list(range(classes))
    exact = shares / shares.sum(axis=1, keepdims=True)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    return {
        "name": name,
        "labels": labels.tolist(),
        "predicted": predicted.tolist(),
        "probabilities": shares.tolist(),
        "accuracy": metrics.accuracy_score(labels, predicted),
        "nll": metrics.log_loss(labels, exact, labels=every),
        "brier": metrics.brier_score_loss(labels, exact, labels=every, scale_by_half=False),
        "ece15": conf_ECE(labels, shares, bins=15),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
        "macro_f1": metrics.f1_score(labels, predicted, average="macro", zero_division=0),
        "confusion": metrics.confusion_matrix(labels, predicted, labels=every).tolist(),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
    }


def summary(values):
    values = np.array(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return {
        "values": values.tolist(),
        "mean": values.mean(),
        "std": values.std(ddof=1),
        "ci95": (high - low) / 2,
    }


def paired(a, b):
    test = stats.ttest_rel(a, b)
    interval = test.confidence_interval(0.95)
    return {
        "a": a,
        "b": b,
        "mean": float(np.mean(np.array(a) - np.array(b))),
        "low": interval.low,
        "high": interval.high,
        "p": test.pvalue,
    }


def discordant(b, c):
    table = [[10, b], [c, 10]]
    return {
        "only_a": b,
        "only_b": c,
        "exact": mcnemar(table, exact=True).pvalue,
        "corrected": mcnemar(table, exact=False, correction=True).pvalue,
    }


def bootstrap(strata):
    """Percentiles of the mean over strata of the strata's means, over all resamples (not a sample of them)."""
    means = []
    for values in strata:
        values = np.array(values)
        draws = itertools.product(range(len(values)), repeat=len(values))
        means.append(np.array([values[list(draw)].mean() for draw in draws]))
    total = means[0]
    for more in means[1:]:
        total = (total[:, None] + more[None, :]).ravel()
    total = total / len(strata)
    low, high = np.percentile(total, [2.5, 97.5])
    return {"strata": strata, "mean": float(total.mean()), "low": low, "high": high}


def wilson(correct, n):
    low, high = proportion_confint(correct, n, method="wilson")
    return {"accuracy": correct / n, "n": n, "half_width": (high - low) / 2}


def holm(p):
    return {"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()}


golden = {
    "made_by": {
        "script": "tests/golden/metrics.py",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "statsmodels": statsmodels.__version__,
        "pycalib": "0.1.0.dev6",
    },
    "t_975": [[freedom, stats.t.ppf(0.975, freedom)] for freedom in [1, 2, 3, 4, 5, 7, 9, 19, 30, 31, 99, 999]],
    "summaries": [
        summary([0.6, 0.7, 0.8]),
        summary([0.912, 0.915]),
        summary([0.4405, 0.4385, 0.4612, 0.4501, 0.4467]),
        summary(np.round(RANDOM.normal(0.9, 0.01, 40), 6)),
    ],
    "paired": [
        paired([0.46, 0.48, 0.50], [0.43, 0.44, 0.48]),
        paired([0.5012, 0.4977, 0.5120, 0.5051, 0.4933], [0.4987, 0.5001, 0.5034, 0.5062, 0.4915]),
        paired([0.31, 0.35], [0.33, 0.32]),
    ],
    "mcnemar": [
        discordant(*pair) for pair in [(0, 1), (3, 3), (2, 11), (9, 15), (10, 15), (40, 62), (400, 520), (0, 30)]
    ],
    "holm": [holm([0.01, 0.04, 0.03, 0.005]), holm([0.5, 0.9]), holm([0.02]), holm([0.001, 0.001, 0.4, 0.049])],
    "wilson": [wilson(9000, 10000), wilson(3404, 3782), wilson(20, 20), wilson(0, 7)],
    "bootstrap": [
        bootstrap([[0.41, 0.44, 0.40, 0.47, 0.43], [0.61, 0.60, 0.66, 0.63, 0.62]]),
        bootstrap([[-0.012, 0.031, 0.004, 0.022, -0.003, 0.015]]),
    ],
    "classification": [
        classification("balanced", 150, 3, [1 / 3] * 3, 1.5),
        classification("imbalanced, one class never answered", 120, 4, [0.5, 0.3, 0.15, 0.05], 3.0, drop=2),
        classification("overconfident", 60, 2, [0.5, 0.5], 8.0),
    ],
}

path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(golden, indent=1) + "\n")
