"""Nothing opens a public link by itself, wherever Gradio believes that it runs."""

import re

import gradio as gr
import nbformat
import pytest
from course_copy import LESSON, ROOT


def test_every_launch_of_notebooks_and_apps_says_no():
    files = [ROOT / LESSON, *ROOT.glob("companions/*.ipynb")]
    cells = [c for file in files for c in nbformat.read(file, as_version=4).cells]
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    code += [(ROOT / "demos/foodvision_mini/app.py").read_text("utf-8")]
    launches = re.findall(r"\.launch\((.*)", "\n".join(code))
    assert len(launches) >= 8 and all("share=False" in call for call in launches)


@pytest.mark.parametrize(("share", "asked"), [(False, 0), (None, 1)])
def test_where_gradio_believes_in_colab(monkeypatch, share, asked):
    tunnels = []
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(gr.utils, "colab_check", lambda: True)
    monkeypatch.setattr(
        gr.networking, "setup_tunnel", lambda **to: tunnels.append(to) or "https://x/"
    )
    page = gr.Interface(str, "text", "text", analytics_enabled=False)
    page.launch(share=share, prevent_thread_lock=True, quiet=True)
    page.close(verbose=False)
    assert len(tunnels) == asked
