"""Lesson 08."""

from typing import Any

from warmup_course.classroom.exercises.checker import (
    Exercise,
    FunctionExercise,
    Misconceptions,
    close,
    not_yet,
    numbers,
    run,
)


def precision_recall_f1(tp, fp, fn, tn):
    precision = tp / (tp + fp) if tp + fp else 0
    recall = tp / (tp + fn) if tp + fn else 0
    f1 = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0
    return precision, recall, f1


def threshold(scores, labels, goal):
    rows = zip(scores, labels, strict=True)
    frauds = sorted((score for score, label in rows if label == 1), reverse=True)
    for caught, score in enumerate(frauds, start=1):
        if caught / len(frauds) >= goal:
            return score


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def about_a_table(tp: int, fp: int, fn: int, tn: int) -> dict[str, Misconceptions]:
    precision, recall, f1 = precision_recall_f1(tp, fp, fn, tn)
    accuracy, specificity = share(tp + tn, tp + fp + fn + tn), share(tn, tn + fp)
    return {
        "precision": [
            (recall, "That is the recall: you divide by the frauds. Precision divides by the alarms."),
            (accuracy, "That is the accuracy. TN does not occur in precision."),
        ],
        "recall": [
            (precision, "That is the precision: you divide by the alarms. Recall divides by the frauds."),
            (specificity, "That is the recall of the *negative* class."),
            (accuracy, "That is the accuracy. TN does not occur in recall."),
        ],
        "F1": [
            ((precision + recall) / 2, "That is the plain mean. F1 is low as soon as one of the two is."),
            (f1 / 2, "The factor 2 is missing: with precision = recall = 1, F1 should be 1."),
            (accuracy, "That is the accuracy. TN does not occur in F1."),
        ],
    }


SCORES, LABELS = [0.9, 0.8, 0.7, 0.6, 0.55, 0.3, 0.25, 0.2, 0.1, 0.05], [1, 0, 1, 0, 1, 0, 0, 1, 0, 1]


def judge_a_table(answer: Any) -> str:
    # The first one tells the misconceptions apart; the others have a 0 / 0.
    for table in ((12, 4, 88, 4896), (15, 5, 5, 975), (0, 3, 20, 977), (0, 0, 20, 980), (0, 0, 0, 9)):
        shown = "For TP {}, FP {}, FN {} and TN {}".format(*table)
        likely = about_a_table(*table)
        found = numbers(run(answer, *table), shown, [*likely])
        for name, got, right in zip(likely, found, precision_recall_f1(*table), strict=True):
            if not close(got, right):
                percent = (100 * right, "That is in percent. Return shares, from 0 to 1.")
                nothing = (1.0 if right == 0 else -1, "No fraud is caught here. Return 0, whatever it is divided by.")
                raise not_yet(f"{shown}, as {name},", got, right, [nothing, *likely[name], percent])
    return "Also where there is no alarm, or no fraud."


def about_a_threshold(scores: list[float], labels: list[int], goal: float) -> Misconceptions:
    frauds = sorted((s for s, label in zip(scores, labels, strict=True) if label == 1), reverse=True)
    reach = [s for place, s in enumerate(frauds, start=1) if place / len(frauds) >= goal]
    count = sum(place / len(scores) < goal for place in range(1, len(scores) + 1))
    return [
        (0.5, "Is that threshold fixed? Look at which recall it gives."),
        (sorted(scores, reverse=True)[count], "You count all rows. Recall counts the frauds only."),
        (reach[min(1, len(reach) - 1)], "That is one fraud further than needed: the goal may be met exactly."),
        (min(scores), "That reaches the goal, but it is the *lowest* threshold that does."),
        (frauds[-1], "That catches all frauds. A higher threshold reaches the goal."),
        (goal, "The goal is a share of the frauds, not a score."),
        (1 - goal, "The goal is a share of the frauds, not a score."),
        (lambda got: got > reach[0], "Too few frauds have a score as high as that."),
        (lambda got: got < reach[0], "That reaches the goal, but a higher threshold does so too."),
    ]


EXERCISES = (
    Exercise(
        name="08_reading_metrics/precision_recall_f1",
        judge=judge_a_table,
        hints=(
            "Precision divides by all alarms, recall by all frauds. Both have the caught frauds on top.",
            "F1 is 2 * precision * recall / (precision + recall), which is 2 TP / (2 TP + FP + FN).",
            "Guard each division: no alarms, no frauds, or neither.",
        ),
        answer=precision_recall_f1,
        why="TN occurs nowhere. That is why thousands of honest payments cannot flatter these three.",
    ),
    FunctionExercise(
        name="08_reading_metrics/threshold",
        # The first one tells the misconceptions apart.
        told="For the scores {}, the labels {} and the goal {}",
        cases=[
            (SCORES, LABELS, 0.6),
            (SCORES[::-1], LABELS[::-1], 0.65),
            (SCORES, LABELS, 0.1),
            (SCORES, LABELS, 0.2),
            (SCORES, LABELS, 1.0),
            ([0.8137, 0.6429, 0.3351, 0.1204], [1, 0, 1, 1], 0.5),  # another length, and no grid has these scores
        ],
        misconceptions=about_a_threshold,
        praise="The highest threshold that keeps the promise, also on lists in another order.",
        hints=(
            "Only the scores of the frauds matter for recall. Sort them, highest first.",
            "With the threshold at the k-th of them, k frauds are caught. Which is the first k that meets the goal?",
        ),
        answer=threshold,
        why="Recall changes only at the scores of frauds, so one of these is the answer. What it costs in false alarms "
        "is for the precision to say.",
    ),
)
