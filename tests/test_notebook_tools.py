"""Versions compared as versions; a page shown in a notebook, and in Colab's."""

import importlib.metadata
import sys
from unittest import mock

from going_modular import notebook_tools
from going_modular.notebook_tools import outdated, show_page

URL = "http://127.0.0.1:8123/"


def test_2_10_is_newer_than_2_9_and_what_does_not_fit_is_named(tmp_path, monkeypatch):
    def version(name):
        if name != "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return "2.10.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    fits = "torch>=2.9\ntorch >= 2.10\ntorch\n# torch>=99\n\ntorch>=2.9,<3 #\n"
    file = tmp_path / "requirements.txt"
    file.write_text(fits + "torch>=2.11\ntimm>=1.0\ntorch<2.10", encoding="utf-8")
    assert outdated(file) == [
        "torch is 2.10.0 (wanted: torch>=2.11)",
        "timm is missing (wanted: timm>=1.0)",
        "torch is 2.10.0 (wanted: torch<2.10)",
    ]


def test_the_page_is_as_wide_as_a_phone_and_colab_is_asked_to_bring_it(monkeypatch):
    with mock.patch.object(notebook_tools, "display") as display:
        show_page(URL)
    html = display.call_args.args[0]._repr_html_()
    assert 'width="400"' in html and URL in html
    assert 'allow="camera; clipboard-read"' in html
    colab = mock.MagicMock()
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    show_page(URL)
    shown = colab.output.serve_kernel_port_as_iframe
    shown.assert_called_once_with(8123, width="400", height="760")
