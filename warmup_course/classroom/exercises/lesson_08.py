"""Is my schedule helping?"""

from typing import Any

from warmup_course.classroom.exercises.checker import Exercise, NotYet, close, not_yet, number, run, short


def precision_recall_f1(tp, fp, fn, tn):
    precision = tp / (tp + fp) if tp + fp else 0
    recall = tp / (tp + fn) if tp + fn else 0
    f1 = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0
    return precision, recall, f1


def threshold(scores, labels, goal):
    frauds = sorted((score for score, label in zip(scores, labels, strict=True) if label == 1), reverse=True)
    for caught, score in enumerate(frauds, start=1):
        if caught / len(frauds) >= goal:
            return score


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def judge_precision_recall_f1(answer: Any) -> str:
    # The first input tells the misconceptions apart; the others have a 0 / 0.
    for tp, fp, fn, tn in ((12, 4, 88, 4896), (15, 5, 5, 975), (0, 3, 20, 977), (0, 0, 20, 980), (0, 0, 0, 9)):
        shown = f"For TP {tp}, FP {fp}, FN {fn} and TN {tn}"
        result = run(answer, tp, fp, fn, tn)
        try:
            values = [*result]
        except TypeError:
            values = []
        if len(values) != 3:
            raise NotYet(f"{shown} you have {short(result)}. Return three numbers: precision, recall, F1.")
        precision, recall = share(tp, tp + fp), share(tp, tp + fn)
        accuracy, specificity = share(tp + tn, tp + fp + fn + tn), share(tn, tn + fp)
        expected = precision, recall, share(2 * tp, 2 * tp + fp + fn)
        likely: dict[str, list[tuple[float, str]]] = {
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
                (expected[2] / 2, "The factor 2 is missing: with precision = recall = 1, F1 should be 1."),
                (accuracy, "That is the accuracy. TN does not occur in F1."),
            ],
        }
        for (name, misconceptions), value, right in zip(likely.items(), values, expected, strict=True):
            got = number(value, f"{shown}, as {name},")
            misconceptions.append((100 * right, "That is in percent. Return shares, from 0 to 1."))
            if not close(got, right):
                raise not_yet(f"{shown}, as {name},", got, right, misconceptions)
    return "Also where there is no alarm, or no fraud."


def judge_threshold(answer: Any) -> str:
    # The first input tells the misconceptions apart.
    scores = [0.9, 0.8, 0.7, 0.6, 0.55, 0.3, 0.25, 0.2, 0.1, 0.05]
    labels = [1, 0, 1, 0, 1, 0, 0, 1, 0, 1]
    cases = ((scores, labels, 0.6), (scores[::-1], labels[::-1], 0.7), (scores, labels, 0.1), (scores, labels, 1.0))
    for scores, labels, goal in cases:
        shown = f"For the scores {scores}, the labels {labels} and the goal {goal}"
        got = number(run(answer, scores, labels, goal), shown)
        frauds = sorted((s for s, label in zip(scores, labels, strict=True) if label == 1), reverse=True)
        reach = [s for place, s in enumerate(frauds, start=1) if place / len(frauds) >= goal]
        if not close(got, reach[0]):
            ranked = sorted(scores, reverse=True)
            count = sum(place / len(scores) < goal for place in range(1, len(scores) + 1))
            likely = [
                (0.5, "Is that threshold fixed? Look at which recall it gives."),
                (ranked[count], "You count all rows. Recall counts the frauds only."),
                (reach[min(1, len(reach) - 1)], "That is one fraud further than needed: the goal may be met exactly."),
                (min(scores), "That reaches the goal, but it is the *lowest* threshold that does."),
                (frauds[-1], "That catches all frauds. A higher threshold reaches the goal."),
                (goal, "The goal is a share of the frauds, not a score."),
                (1 - goal, "The goal is a share of the frauds, not a score."),
            ]
            if got > reach[0]:
                likely.append((got, "Too few frauds have a score as high as that."))
            else:
                likely.append((got, "That reaches the goal, but a higher threshold does so too."))
            raise not_yet(shown, got, reach[0], likely)
    return "The highest threshold that keeps the promise, also on lists in another order."


EXERCISES = (
    Exercise(
        name="08_reading_metrics/precision_recall_f1",
        judge=judge_precision_recall_f1,
        hints=(
            "Precision divides by all alarms, recall by all frauds. Both have the caught frauds on top.",
            "F1 is 2 * precision * recall / (precision + recall), which is 2 TP / (2 TP + FP + FN).",
            "Guard each division: no alarms, no frauds, or neither.",
        ),
        answer=precision_recall_f1,
        why="TN occurs nowhere. That is why thousands of honest payments cannot flatter these three.",
    ),
    Exercise(
        name="08_reading_metrics/threshold",
        judge=judge_threshold,
        hints=(
            "Only the scores of the frauds matter for recall. Sort them, highest first.",
            "With the threshold at the k-th of them, k frauds are caught. Which is the first k that meets the goal?",
        ),
        answer=threshold,
        why="Recall changes only at the scores of frauds, so one of these is the answer. What it costs in false alarms "
        "is for the precision to say.",
    ),
)
