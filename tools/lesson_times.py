"""How long the lesson's sections take: the table that stands before section 0.

Reading and doing are counted from the notebook's own cells, so that a test can tell
whether the table is up to date; running is what one run of it took.
"""

import re
from collections.abc import Iterable, Mapping

from nbformat import NotebookNode

from tools.readme_block import put_block

NAME = "times"  # of the cell, and of the block in it
STARTS = (  # cells, in order
    "s0",
    "what-is-deployment",
    *(f"s{number}" for number in range(1, 8)),
    "takeaways",
    "exercises",
)
WORDS_A_MINUTE = 200
SECONDS_A_LINE = 4
MINUTES_FOR_TAG = {"your-turn": 2, "exercise": 15}
MINUTES_FOR_TEXT = {"**Predict first:**": 0.5, "<summary>": 0.5}
OPENING = "Before section 0"
HEAD = (
    "| section | reading, min | running, min | doing, min |\n"
    "| --- | ---: | ---: | ---: |"
)
NOTE = (
    "Running was measured on {cores} CPU cores, on {where}; a first run also waits for "
    "downloads. Reading and doing are counted: {words} words a minute and {line} "
    "seconds a line of code, without what is folded away; {turn} minutes for a cell "
    "that you write, {exercise} for an exercise, half a minute for a prediction and "
    "for a folded answer. Exercises come after the two hours, outside the total."
)
FOLDED = re.compile(r"<details.*?</details>", re.DOTALL)
# What a command writes between two markers does not count, this table least of all.
WRITTEN = re.compile(r"<!-- ([\w-]+)\b[^>]*-->.*?<!-- end of \1 -->", re.DOTALL)
FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
UNSEEN = re.compile(r"<[^>]*>|\]\([^)]*\)")  # HTML tags, and where links lead


def sections(notebook: NotebookNode) -> dict[str, list[NotebookNode]]:
    """The cells of each section by its heading, in order, those before section 0 first.

    Raises:
        ValueError: If a cell that begins a section is missing or out of order.
    """
    cells, ids = notebook.cells, [cell.id for cell in notebook.cells]
    starts = [ids.index(name) for name in STARTS if name in ids]
    if len(starts) < len(STARTS) or starts != sorted(starts):
        raise ValueError(f"the lesson needs the cells {', '.join(STARTS)}, in order")
    found = {OPENING: cells[: starts[0]]}
    for first, end in zip(starts, [*starts[1:], len(cells)], strict=True):
        heading = cells[first].source.partition("\n")[0]
        found[heading.strip("# ")] = cells[first:end]
    return found


def reading_minutes(cells: Iterable[NotebookNode]) -> int:
    """Minutes to read the text and the code of some cells, rounded."""
    words, lines = 0, 0
    for cell in cells:
        if cell.cell_type == "code":
            lines += count_lines(cell.source)
            continue
        text = FOLDED.sub("", WRITTEN.sub("", cell.source))
        lines += sum(count_lines(code) for code in FENCED.findall(text))
        prose = UNSEEN.sub(" ", FENCED.sub("", text))
        words += sum(bool(re.search(r"\w", word)) for word in prose.split())
    return round(words / WORDS_A_MINUTE + lines * SECONDS_A_LINE / 60)


def count_lines(code: str) -> int:
    """How many lines are not empty."""
    return sum(bool(line.strip()) for line in code.splitlines())


def doing_minutes(cells: Iterable[NotebookNode]) -> int:
    """Minutes for what some cells ask the reader to write, predict and answer."""
    minutes = 0
    for cell in cells:
        tags = cell.metadata.get("tags", [])
        minutes += sum(MINUTES_FOR_TAG.get(tag, 0) for tag in tags)
        if cell.cell_type == "markdown":
            for text, each in MINUTES_FOR_TEXT.items():
                minutes += each * cell.source.count(text)
    return round(minutes)


def say_minutes(seconds: float) -> str:
    """Seconds in minutes with one digit."""
    if 0 < seconds < 6:
        return "under 0.1"
    return f"{seconds / 60:.1f}" if seconds else "0"


def table(notebook: NotebookNode, seconds: Mapping[str, float]) -> str:
    """The table in Markdown, a row a section.

    Args:
        notebook: The lesson.
        seconds: What the code cells took in one run, by the id of the cell.
    """
    rows, reading, doing = [], 0, 0
    for title, cells in sections(notebook).items():
        read, do = reading_minutes(cells), doing_minutes(cells)
        took = say_minutes(sum(seconds.get(cell.id, 0) for cell in cells))
        rows.append(f"| {title} | {read} | {took} | {do} |")
        reading, doing = reading + read, doing + do
    *rows, exercises = rows
    reading, doing = reading - read, doing - do
    took = say_minutes(sum(seconds.values()))
    hours = round((reading + doing) / 60)
    total = f"| **Total**, about {hours} hours | {reading} | {took} | {doing} |"
    return "\n".join([HEAD, *rows, total, exercises])


def renew_times(
    notebook: NotebookNode, seconds: Mapping[str, float], *, cores: int, where: str
) -> None:
    """Put the table and what it means into its cell.

    Args:
        notebook: The lesson, changed in place.
        seconds: What the code cells took in one run, by the id of the cell.
        cores: CPU cores of the machine that ran it.
        where: Which pictures it ran on, in words.

    Raises:
        ValueError: If there is no cell or no block for it.
    """
    cell = next((cell for cell in notebook.cells if cell.id == NAME), None)
    if cell is None:
        raise ValueError(f"the lesson has no cell {NAME} for the table of times")
    note = NOTE.format(
        cores=cores,
        where=where,
        words=WORDS_A_MINUTE,
        line=SECONDS_A_LINE,
        turn=MINUTES_FOR_TAG["your-turn"],
        exercise=MINUTES_FOR_TAG["exercise"],
    )
    cell.source = put_block(cell.source, NAME, f"{table(notebook, seconds)}\n\n{note}")
