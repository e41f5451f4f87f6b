"""Versions compared as versions, and pages in a notebook."""

import importlib.metadata
import sys
from unittest import mock

from going_modular import notebook_tools
from going_modular.notebook_tools import outdated, show_page


def test_2_10_is_newer_than_2_9_and_what_does_not_fit_is_named(tmp_path, monkeypatch):
    def version(name):
        if name != "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return "2.10.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    fits = "torch>=2.9\ntorch >= 2.10\ntorch\n# torch>=99\n\ntorch>=2.9,<3 #\n"
    file = tmp_path / "requirements.txt"
    file.write_text(fits + "torch>=2.11\ntimm>=1.0\ntorch<2.10")
    assert outdated(file) == [
        "torch is 2.10.0 (wanted: torch>=2.11)",
        "timm is missing (wanted: timm>=1.0)",
        "torch is 2.10.0 (wanted: torch<2.10)",
    ]


def test_the_page_is_shown_as_wide_as_a_phone_here_and_in_colab(monkeypatch):
    with mock.patch.object(notebook_tools, "display") as display:
        show_page("http://127.0.0.1:8123/")
    html = display.call_args.args[0]._repr_html_()
    assert 'width="400"' in html and "http://127.0.0.1:8123/" in html
    assert 'allow="camera; clipboard-read"' in html
    monkeypatch.setitem(sys.modules, "google.colab", colab := mock.MagicMock())
    show_page("http://127.0.0.1:8123/")
    shown = colab.output.serve_kernel_port_as_iframe
    shown.assert_called_once_with(8123, width="400", height="760")
