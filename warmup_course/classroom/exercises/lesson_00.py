"""How an exercise works, on the measure that the lessons use most."""

from warmup_course.classroom.exercises.checker import FunctionExercise, Misconceptions


def share_trained(outcomes):
    return outcomes.count("trained") / len(outcomes)


def misconceptions(outcomes: list[str]) -> Misconceptions:
    trained, all_runs, slow = outcomes.count("trained"), len(outcomes), outcomes.count("slow")
    finite = all_runs - outcomes.count("diverged")
    return [
        (trained, "That is how many. A share is that number divided by the number of all runs."),
        (100 * trained / all_runs, "That is a percentage. As a share, a half is 0.5."),
        (trained / max(finite, 1), "A run that diverged is a run too: leave none out."),
        (trained / max(trained + slow, 1), "Runs that stalled or diverged are runs too: leave none out."),
        (trained / max(all_runs - trained, 1), "Divide by all runs, not by those that failed."),
        (1 - trained / all_runs, "That is the share of those that did *not* train."),
        (finite / all_runs, "Only `trained` counts, not every run that stayed finite."),
        ((trained + slow) / all_runs, "Only `trained` counts; a slow run has not got there."),
    ]


EXERCISES = (
    FunctionExercise(
        name="00_start_here/share_trained",
        told="For {}",
        cases=[
            # The first one tells all the misconceptions apart.
            (["trained", "slow", "trained", "diverged", "stalled", "trained", "slow"],),
            (["stalled", "diverged"],),
            (["trained"],),
        ],
        misconceptions=misconceptions,
        praise="That is the number on every map of this course, failures included.",
        hints=(
            "A share is a number of runs divided by the number of all runs.",
            '`outcomes.count("trained")` says how many trained, `len(outcomes)` how many there are.',
        ),
        answer=share_trained,
        why="All runs stand below the line, also those that diverged. Who leaves the failures out, always wins.",
    ),
)
