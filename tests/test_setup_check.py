"""Versions compared as versions, and nothing overlooked."""

import importlib.metadata
from pathlib import Path

import pytest

from going_modular.setup_check import outdated

INSTALLED = {"torch": "2.10.0", "gradio": "6.31.0", "pandas": "2.2.3rc1"}


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Checks a requirements file against `INSTALLED`."""

    def version(name):
        if name not in INSTALLED:
            raise importlib.metadata.PackageNotFoundError(name)
        return INSTALLED[name]

    def check(text):
        (tmp_path / "requirements.txt").write_text(text, encoding="utf-8")
        return outdated(tmp_path / "requirements.txt")

    monkeypatch.setattr(importlib.metadata, "version", version)
    return check


@pytest.mark.parametrize(
    "wanted",
    ["torch>=2.9", "torch >= 2.10", "torch", "torch>=2.9,<3", "torch==2.10.0"],
)
def test_2_10_is_newer_than_2_9(wanted, check):
    assert check(wanted) == []


@pytest.mark.parametrize("wanted", ["torch>=2.11", "torch<2.10", "torch==2.1"])
def test_what_does_not_fit_is_named_with_what_is_wanted(wanted, check):
    assert check(wanted) == [f"torch is 2.10.0 (wanted: {wanted})"]


def test_a_local_build_is_the_version_it_was_built_from(check, monkeypatch):
    monkeypatch.setitem(INSTALLED, "torch", "2.10.0+cu128")
    assert check("torch>=2.10") == [] and check("torch>=2.11") != []


def test_a_preview_is_an_installed_version_too(check):
    assert check("pandas>=2.2") == []
    assert check("pandas>=2.3") == ["pandas is 2.2.3rc1 (wanted: pandas>=2.3)"]


def test_missing_packages_are_named(check):
    assert check("timm>=1.0\ntorch>=2.9\nonnx") == [
        "timm is missing (wanted: timm>=1.0)",
        "onnx is missing (wanted: onnx)",
    ]


def test_comments_and_empty_lines_are_passed_over(check):
    text = "# torch>=99\n\n   \ngradio>=6.0,<7  # not 7: torch>=99\r\n#\n"
    assert check(text) == []


def test_extras_do_not_hide_the_version(check):
    assert check("gradio[mcp,oauth]>=6.0") == []
    assert check("gradio[mcp] >= 7") == ["gradio is 6.31.0 (wanted: gradio[mcp] >= 7)"]


def test_the_lessons_own_requirements_are_met_here():
    requirements = Path(__file__).resolve().parents[1] / "requirements.txt"
    assert outdated(requirements) == []
