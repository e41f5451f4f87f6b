"""Publishing: address and badge, in both files or in none, and out again."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from going_modular.files import FileError, LessonError
from tools import publish
from tools.publish import checked, main

GITHUB = "https://github.com/some-one/food_vision.v2"
COLAB = (
    "https://colab.research.google.com/github/some-one/food_vision.v2/blob/main/"
    "09_pytorch_model_deployment.ipynb"
)
BADGE = "<!-- badge -->\n<!-- end of badge -->"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A small notebook and README, ready to be published."""
    first = 'COURSE_REPO = ""  # set by whoever publishes it\n\nprint(COURSE_REPO)'
    cells = [
        new_markdown_cell(f"# Lesson\n\n{BADGE}\n\nWelcome.", id="welcome"),
        new_code_cell(first, id="find-root"),
    ]
    for name, file in (("LESSON", "lesson.ipynb"), ("README", "README.md")):
        monkeypatch.setattr(publish, name, tmp_path / file)
    lesson = nbformat.writes(new_notebook(cells=cells)) + "\n"
    (tmp_path / "lesson.ipynb").write_text(lesson, "utf-8")
    (tmp_path / "README.md").write_text(f"# Course\n\n{BADGE}\n\nText é\n", "utf-8")
    return tmp_path


def contents(course):
    return {file.name: file.read_bytes() for file in course.iterdir()}


def cells_of(course):
    return nbformat.read(course / "lesson.ipynb", as_version=4).cells


def test_address_and_badge_are_written_and_taken_out(course):
    before = contents(course)
    main([GITHUB, "--branch", "v2/next"])
    welcome, first = cells_of(course)
    link = publish.COLAB.format("some-one/food_vision.v2", "v2/next", "lesson.ipynb")
    assert f"<!-- badge -->\n\n[Open in Colab]({link})\n\n<!--" in welcome.source
    assert first.source.startswith(f'COURSE_REPO = "{GITHUB}"  # set by')
    page = (course / "README.md").read_text("utf-8")
    assert f"[![Open in Colab](figures/open_in_colab.svg)]({link})" in page
    main([GITHUB + ".git"])
    once = contents(course)
    assert once != before
    main([GITHUB + "/"])
    assert contents(course) == once
    main(["--unset"])
    assert contents(course) == before


def test_the_badge_leads_to_the_lesson():
    name = "some-one/food_vision.v2"
    assert publish.COLAB.format(name, "main", publish.LESSON.name) == COLAB
    assert publish.LESSON.is_file()
    assert publish.README.with_name("figures").joinpath("open_in_colab.svg").is_file()


def test_elsewhere_there_is_an_address_and_no_badge(course, capsys):
    main([GITHUB])
    main(["https://codeberg.org/some/one.git"])
    welcome, first = cells_of(course)
    assert BADGE in welcome.source and BADGE in (course / "README.md").read_text()
    assert 'COURSE_REPO = "https://codeberg.org/some/one.git"' in first.source
    assert "No badge" in capsys.readouterr().out


@pytest.mark.parametrize(
    "address",
    [
        "",
        "git@github.com:some/one.git",
        "some/one",
        "file:///home",
        "https://",
        "https://codeberg.org",
        "https://user:secret@codeberg.org/some/one",
        "https://github.com/some",
        "https://github.com/some/one/tree/main",
        "https://github.com/some/one?tab=readme",
        'https://github.com/some/"one',
        "https://codeberg.org/some one",
        "https://codeberg.org/some\nimport os",
    ],
)
def test_an_address_that_nobody_could_use_is_refused(address):
    with pytest.raises(LessonError, match="https://github.com/OWNER/NAME") as caught:
        checked(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "spelt", ["http://GitHub.com/a/b", "https://www.github.com/a/b/"]
)
def test_spellings_of_one_address_are_one(spelt):
    assert checked(spelt) == "https://github.com/a/b"


@pytest.mark.parametrize("arguments", [[], [GITHUB, "--unset"]])
def test_an_address_or_unset_is_needed(course, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "file, taken_out, told",
    [
        ("lesson.ipynb", "<!-- end of badge -->", "no place for the badge"),
        ("README.md", "<!-- badge -->\n", "no place for the badge"),
        ("lesson.ipynb", "COURSE_REPO = ", "COURSE_REPO 0 times"),
        ("lesson.ipynb", "find-root", "no cell with the id find-root"),
    ],
)
def test_without_a_place_neither_file_changes(course, file, taken_out, told):
    path = course / file
    text = path.read_text("utf-8")
    assert text.count(taken_out) == 1
    path.write_text(text.replace(taken_out, "x"), "utf-8")
    before = contents(course)
    with pytest.raises(SystemExit, match=told):
        main([GITHUB])
    assert contents(course) == before


def test_a_disk_that_fails_halfway_leaves_both_as_they_were(course, monkeypatch):
    before, real, told = contents(course), publish.atomic_write, []

    def second_fails(file):
        told.append(file)
        if len(told) == 2:
            raise FileError("the disk is full")
        return real(file)

    monkeypatch.setattr(publish, "atomic_write", second_fails)
    with pytest.raises(SystemExit, match="disk is full"):
        main([GITHUB])
    assert contents(course) == before and len(told) == 3


def test_the_course_has_the_places():
    """In the notebook and the README as they are committed."""
    lesson = nbformat.read(publish.LESSON, as_version=4)
    publish.with_address(lesson, "https://github.com/a-longer-name/than-most-have")
    first = publish.cell_of(lesson, publish.FIRST_CODE).source
    assert max(map(len, first.splitlines())) <= 88
    for page in (
        publish.cell_of(lesson, publish.WELCOME).source,
        publish.README.read_text("utf-8"),
    ):
        assert "x" in publish.with_badge(page, "x", "page")
        assert page.index("# ") < page.index(f"<!-- {publish.BADGE}")
