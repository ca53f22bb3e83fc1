"""Lesson 08."""

import math
import re
from collections.abc import Callable, Sequence

import numpy as np
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from keys import Verdicts, key, verdicts


def labels(tp: int, fp: int, fn: int, tn: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows with these counts: what is true, and what is said."""
    return np.repeat([1, 0, 1, 0], [tp, fp, fn, tn]), np.repeat([1, 1, 0, 0], [tp, fp, fn, tn])


def by_sklearn(tp: int, fp: int, fn: int, tn: int) -> tuple[float, float, float]:
    truth, said = labels(tp, fp, fn, tn)
    scorers = (metrics.precision_score, metrics.recall_score, metrics.f1_score)
    precision, recall, f1 = (float(score(truth, said, zero_division=0)) for score in scorers)
    return precision, recall, f1


@key("precision-behind-98-percent")
def precision_behind_98_percent() -> list[float]:
    # The only table with these shares, found by trying all.
    found = []
    for tp in range(101):
        for fp in range(201):
            fn, tn = 100 - tp, 4900 - fp
            if tp + tn == 4900 and tp == 12:
                found.append((tp, fp, fn, tn))
    [counts] = found
    truth, said = labels(*counts)
    precision, recall, f1 = by_sklearn(*counts)
    errors = int((truth != said).sum())
    return [precision, recall, metrics.accuracy_score(truth, said), 12 / 12, 12 / (12 + errors), f1]


@verdicts("selected-on-all-rows")
def selected_on_all_rows() -> Verdicts:
    """20 tables: the mean accuracy on validation rows and on untouched ones."""
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, y = rng.standard_normal((400, 1000)), rng.integers(0, 2, 400)
        link = abs(x[:200][y[:200] == 1].mean(0) - x[:200][y[:200] == 0].mean(0))
        chosen = x[:, np.argsort(-link)[:20]]
        model = LogisticRegression().fit(chosen[:100], y[:100])
        found.append([model.score(chosen[100:200], y[100:200]), model.score(chosen[200:], y[200:])])
    valid, untouched = np.mean(found, axis=0)
    return {
        "About 50 %": abs(valid - 0.5) < 0.1,
        "nobody had touched": valid > 0.6 > untouched,
        "untouched rows too": untouched > 0.6,
        "Below 50 %": valid < 0.5,
    }


@key("order-by-f1")
def order_by_f1(texts: Sequence[str]) -> list[float]:
    def f1(text: str) -> float:
        alarms, right = (int(n) for n in re.findall(r"\d+", text) or (0, 0))
        return by_sklearn(right, alarms - right, 20 - right, 980 - alarms + right)[2]

    return [f1(text) for text in texts]


def highest_that_reaches(scores: list[float], truth: list[int], goal: float) -> float:
    """By scikit-learn's precision-recall curve; its thresholds rise."""
    _, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    return float(thresholds[recall[:-1] >= goal].max())


def by_scan(steps: int) -> Callable[[list[float], list[int], float], float]:
    """The highest of the thresholds k / steps that reaches the goal."""

    def answer(scores: list[float], truth: list[int], goal: float) -> float:
        caught = frauds(scores, truth)
        recalls = {k / steps: sum(s >= k / steps for s in caught) / len(caught) for k in range(steps + 1)}
        return max(k for k, recall in recalls.items() if recall >= goal)

    return answer


def frauds(scores: list[float], truth: list[int]) -> list[float]:
    return sorted((s for s, label in zip(scores, truth, strict=True) if label), reverse=True)


WRONG = {
    "08_reading_metrics/precision_recall_f1": [
        (lambda tp, fp, fn, tn: (tp / (tp + fn), tp / (tp + fp), 0), "divides by the alarms"),
        (lambda tp, fp, fn, tn: ((tp + tn) / (tp + fp + fn + tn), 0, 0), "TN does not occur in precision"),
        (lambda tp, fp, fn, tn: (tp / (tp + fp), tp / (tp + fp), 0), "Recall divides by the frauds"),
        (lambda tp, fp, fn, tn: (tp / (tp + fp), tn / (tn + fp), 0), "negative* class"),
        (lambda tp, fp, fn, tn: (*by_sklearn(tp, fp, fn, tn)[:2], sum(by_sklearn(tp, fp, fn, tn)[:2]) / 2), "mean"),
        (lambda tp, fp, fn, tn: (*by_sklearn(tp, fp, fn, tn)[:2], by_sklearn(tp, fp, fn, tn)[2] / 2), "factor 2"),
        (lambda tp, fp, fn, tn: (tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)), "ZeroDivisionError"),
        (
            lambda tp, fp, fn, tn: tuple(share if tp else 1.0 for share in by_sklearn(tp, fp, fn, tn)),
            "No fraud is caught",
        ),
        (lambda tp, fp, fn, tn: [100 * share for share in by_sklearn(tp, fp, fn, tn)], "percent"),
        (lambda tp, fp, fn, tn: tp / (tp + fp), "three numbers"),
        (lambda *counts: [*by_sklearn(*counts)[:2], str(by_sklearn(*counts)[2])], "is text, not a number"),
        (lambda tp, fp, fn, tn: ("all", 1, 1), "not a number"),
        (0.5, "should be a function"),
    ],
    "08_reading_metrics/threshold": [
        (lambda scores, truth, goal: 0.5, "fixed"),
        (lambda scores, truth, goal: sorted(scores, reverse=True)[math.ceil(goal * len(scores)) - 1], "all rows"),
        (lambda scores, truth, goal: frauds(scores, truth)[3], "further than needed"),
        (lambda scores, truth, goal: min(scores), "lowest"),
        (lambda scores, truth, goal: 0.8, "Too few"),
        (lambda scores, truth, goal: np.quantile(frauds(scores, truth), 1 - goal), "a higher threshold does so too"),
        (lambda scores, truth, goal: frauds(scores, truth)[max(1, round(goal * sum(truth))) - 1], "Too few"),
        (lambda scores, truth, goal: np.quantile(frauds(scores, truth), 1 - goal, method="nearest"), "expected"),
        (lambda scores, truth, goal: goal, "not a score"),
        (lambda scores, truth, goal: frauds(scores, truth)[math.ceil(5 * goal) - 1], "expected 0.3351"),
        (by_scan(100), "a higher threshold does so too"),
        (by_scan(1000), "a higher threshold does so too"),
        (lambda scores, truth, goal: frauds(scores, truth), "not a number"),
        (0.5, "should be a function"),
    ],
}
RIGHT = {
    "08_reading_metrics/precision_recall_f1": [by_sklearn, lambda *counts: list(by_sklearn(*counts))],
    "08_reading_metrics/threshold": [highest_that_reaches],
}
