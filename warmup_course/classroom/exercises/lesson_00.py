"""How an exercise works, on the measure that the lessons use most."""

from typing import Any

from warmup_course.classroom.exercises.checker import Exercise, close, not_yet, number, run


def share_trained(outcomes):
    return outcomes.count("trained") / len(outcomes)


def judge_share_trained(answer: Any) -> str:
    # The first input tells all the misconceptions apart.
    for outcomes in (
        ["trained", "slow", "trained", "diverged", "stalled", "trained", "slow"],
        ["stalled", "diverged"],
        ["trained"],
    ):
        shown = f"For {outcomes}"
        got = number(run(answer, list(outcomes)), shown)
        trained, all_runs = outcomes.count("trained"), len(outcomes)
        if not close(got, trained / all_runs):
            finite, slow = all_runs - outcomes.count("diverged"), outcomes.count("slow")
            likely = [
                (trained, "That is how many. A share is that number divided by the number of all runs."),
                (100 * trained / all_runs, "That is a percentage. As a share, a half is 0.5."),
                (trained / max(finite, 1), "A run that diverged is a run too: leave none out."),
                (trained / max(trained + slow, 1), "Runs that stalled or diverged are runs too: leave none out."),
                (trained / max(all_runs - trained, 1), "Divide by all runs, not by those that failed."),
                (1 - trained / all_runs, "That is the share of those that did *not* train."),
                (finite / all_runs, "Only `trained` counts, not every run that stayed finite."),
                ((trained + slow) / all_runs, "Only `trained` counts; a slow run has not got there."),
            ]
            raise not_yet(shown, got, trained / all_runs, likely)
    return "That is the number on every map of this course, failures included."


EXERCISES = (
    Exercise(
        name="00_start_here/share_trained",
        judge=judge_share_trained,
        hints=(
            "A share is a number of runs divided by the number of all runs.",
            '`outcomes.count("trained")` says how many trained, `len(outcomes)` how many there are.',
        ),
        answer=share_trained,
        why="All runs stand below the line, also those that diverged. Who leaves the failures out, always wins.",
    ),
)
