"""The teacher's guide, held against the lessons: headings, quoted words, claims, controls and minutes."""

import re
from pathlib import Path

from warmup_course.authoring.evidence import read_csv
from warmup_course.classroom.quiz import load, quizzes
from warmup_course.lesson_files import outputs, read

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs" / "teaching.md").read_text("utf-8")
QUIZ = {lesson: load(lesson) for lesson in quizzes() if lesson != "final"}
LABS = "".join(path.read_text("utf-8") for path in (ROOT / "warmup_course" / "classroom" / "labs").glob("*.[jp]*"))


def words_of(lesson: str) -> str:
    """The sources and the stored outputs of a lesson."""
    notebook = read(ROOT / "notebooks" / f"{lesson}.ipynb")
    texts = [cell["source"] for cell in notebook["cells"]] + [shown.get("text", ()) for shown in outputs(notebook)]
    texts += [shown.get("data", {}).get("text/markdown", ()) for shown in outputs(notebook)]
    return "\n".join("".join(text) for text in texts)


WORDS = {lesson: words_of(lesson) for lesson in QUIZ}


def test_what_it_quotes_stands_in_the_lesson_that_it_names():
    lessons, found = list(QUIZ), 0
    for written in GUIDE.partition("## Plans")[2].splitlines():
        line = re.sub(r"\*\*“.+?”\*\*", "", written)  # without the objections, which are in nobody's words
        lessons = re.findall(r"notebooks/(\d\d_\w+)\.ipynb", line) or lessons
        text = "\n".join(WORDS[lesson] for lesson in lessons)
        lines = text.splitlines()
        headings, quotes = re.findall(r"\*\*([^*]+)\*\*", line), re.findall(r"“([^”]+)”", line)
        controls = re.findall(r"(?<!\*)\*([^* ][^*]*)\*(?!\*)", line) if line.startswith("- Two minutes") else []
        for heading in headings:
            assert f"## {heading}" in lines or f"### {heading}" in lines, heading
        for claim in re.findall(r"`(✔ [^`]+)`", line):
            assert claim in lines, claim
        for quote in quotes:
            assert quote in text, quote
        for control in controls:
            assert control in text or control in LABS, control
        found += len(headings) + len(quotes) + len(controls)
    assert found > 100


def test_it_counts_the_claims_that_failed_at_some_seed():
    rows = read_csv(ROOT / "docs" / "evidence.csv")
    failed = [row.claim for row in rows if row.held < row.seeds and not row.claim.startswith("prediction: ")]
    number = ("none", "one", "two", "three", "four", "five", "six", "seven")[len(failed)]
    assert f"All but {number} held at each of them, and those {number} stand at the top." in GUIDE


def test_minutes_and_titles_are_those_of_the_lessons():
    blocks = re.findall(r"### \[\d\d · (.+)\]\(\.\./notebooks/(\w+)\.ipynb\) · (\d+) minutes", GUIDE)
    told = {lesson: (title, int(minutes)) for title, lesson, minutes in blocks}
    assert told == {lesson: (quiz["title"], quiz["minutes"]) for lesson, quiz in QUIZ.items()}
    plans = re.findall(r"### [^\n]+ · (\d+) minutes\n(.+?)(?=\n##)", GUIDE.partition("### [00")[0], re.DOTALL)
    assert [int(total) for total, _ in plans] == [60, 180, 360]
    for total, plan in plans:
        rows = re.findall(r"^\| (\d+) \| (.+) \|$", plan, re.MULTILINE)
        assert sum(int(minutes) for minutes, _ in rows) == int(total)
        for minutes, text in rows:
            assert all(int(minutes) <= QUIZ[name]["minutes"] for name in re.findall(r"notebooks/(\w+)\.ipynb", text))


def test_it_links_only_to_what_stands_beside_it_on_the_site():
    assert re.findall(r"\]\((?!\.\./notebooks/\w+\.ipynb\)|https?://)[^)]*\)", GUIDE) == []
