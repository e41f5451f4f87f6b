"""Diffs that a reader writes: applied where they fit, and nowhere else."""

import pytest

from going_modular.patches import PatchError, patch_file, patched

TEXT = "import a\nimport b\n\n\ndef f(x):\n    return x\n"


def test_lines_go_and_come_where_the_diff_says():
    diff = "\n-import a\n import b\n+import c\n\n-    return x\n+    return 2 * x\n"
    expected = "import b\nimport c\n\n\ndef f(x):\n    return 2 * x\n"
    assert patched(TEXT, diff) == expected


@pytest.mark.parametrize(
    ("diff", "told"),
    [
        ("+import c", "Say where"),
        ("import a", "must begin with"),
        (" import d\n+import c", "0 times"),
        (" import a\n     return x", "0 times"),
        (" import\n+c", "0 times"),
    ],
)
def test_a_diff_that_does_not_fit_says_why(diff, told):
    with pytest.raises(PatchError, match=told):
        patched(TEXT, diff)


def test_a_line_that_is_there_twice_says_nothing_about_where():
    with pytest.raises(PatchError, match="2 times"):
        patched(TEXT + TEXT, " import b\n+import c")


def test_the_source_stays_as_it_is(tmp_path):
    source, target = tmp_path / "app_0.py", tmp_path / "app_1.py"
    source.write_text(TEXT, "utf-8")
    patch_file(source, "-import a", target)
    assert source.read_text("utf-8") == TEXT
    assert target.read_text("utf-8") == TEXT.removeprefix("import a\n")
