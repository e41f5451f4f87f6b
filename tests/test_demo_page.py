"""What the demo's page says and keeps; and nothing opens a public link by itself."""

import json
import re
import runpy
import shutil
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import gradio as gr
import nbformat
import page as its_page
import pytest
from browsing import ask, lay_out, photo_of
from course_copy import LESSON, ROOT
from demo_model_fixture import GREEN, RED
from drawn_images import GOLDEN
from model import ModelMetadata


def build(folder: Path) -> tuple:
    """Run the app up to its launch: what it defines, all words on its page."""
    app = runpy.run_path(str(folder / "app.py"))
    blocks = app["demo"].blocks.values()
    return app, "\n".join(str(getattr(block, "value", "")) for block in blocks)


def test_what_a_visitor_sent_is_deleted(tmp_path, monkeypatch):
    uploads = tmp_path / "uploads"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    app, words = build(lay_out(tmp_path / "demo"))
    demo = app["demo"]
    assert "# FoodVision Mini\nPizza, steak or sushi? Show me a plate." in words
    assert "450 real photos" in words and "**147 of 150** test pictures" in words
    assert "deleted within two minutes" in words and its_page.PRACTICE not in words
    assert (demo.delete_cache, demo._queue.max_size) == ((30, 60), 64)
    assert demo.analytics_enabled is False
    demo.delete_cache = (1, 8)  # seconds, to see in a moment what takes minutes
    where = {"server_name": "127.0.0.1", "prevent_thread_lock": True}
    _, url, _ = demo.launch(**where, quiet=True, ssr_mode=False)
    try:
        ask(url, photo_of(RED, tmp_path / "plate.png").read_bytes())
        end = time.monotonic() + 60
        while list(uploads.rglob("plate.jpg")) and time.monotonic() < end:
            time.sleep(0.3)
        left = [path.name for path in uploads.rglob("*") if path.is_file()]
    finally:
        demo.close()
    assert sorted(left) == ["1.jpg", "2.jpg", "3.jpg"], "examples stay, uploads go"


def test_a_practice_model_with_its_names_and_examples(tmp_path):
    """Examples are optional and sorted; underscores in names are shown as spaces."""
    about = {"is_practice": "true", "trained_on": "450 drawn practice pictures"}
    about["class_names"] = json.dumps(["BBQ_ribs", "beef_tartare", "miso_soup"])
    folder = lay_out(tmp_path / "demo", **about)
    shutil.rmtree(folder / "examples")
    assert build(folder)[0]["examples"] == []
    (folder / "examples").mkdir()
    for name in ("sushi.png", "pizza.jpg", "steak.jpg"):
        photo_of(GREEN, folder / "examples" / name)
    app, words = build(folder)
    shown = [Path(file).name for file in app["examples"]]
    assert shown == ["pizza.jpg", "steak.jpg", "sushi.png"]
    assert its_page.PRACTICE in words and "drawn practice pictures" in words
    assert "BBQ ribs, beef tartare or miso soup? Show me a plate." in words
    bars, note = app["predict"](str(folder / "examples" / "sushi.png"))
    assert list(bars)[0] == "miso soup" and not any("_" in name for name in bars)
    assert note.startswith("This looks like miso soup.\n")
    (folder / "foodvision_mini.onnx").unlink()
    with pytest.raises(FileNotFoundError, match="run the lesson to make it"):
        build(folder)


def test_scores_become_the_golden_words():
    for case in json.loads(GOLDEN.read_text("utf-8"))["words"]:
        about, asked = SimpleNamespace(**case["about"]), dict(case["asked"])
        about.judge = partial(ModelMetadata.judge, about)
        asked["seconds"] = asked.pop("milliseconds") / 1000
        answer = ModelMetadata.answer(about, **asked)
        assert answer.verdict == case["verdict"]
        assert its_page.describe(answer, about).split("\n") == case["says"]


def test_every_launch_says_no_for_gradio_would_share_in_colab(monkeypatch):
    files = [ROOT / LESSON, *ROOT.glob("companions/*.ipynb")]
    cells = [c for file in files for c in nbformat.read(file, as_version=4).cells]
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    code += [(ROOT / "demos/foodvision_mini/app.py").read_text("utf-8")]
    launches = re.findall(r"\.launch\((.*)", "\n".join(code))
    assert len(launches) >= 8 and all("share=False" in call for call in launches)
    tunnel = mock.Mock(return_value="https://x/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(gr.utils, "colab_check", lambda: True)
    monkeypatch.setattr(gr.networking, "setup_tunnel", tunnel)
    for share, times in ((False, 0), (None, 1)):
        page = gr.Interface(str, "text", "text", analytics_enabled=False)
        page.launch(share=share, prevent_thread_lock=True, quiet=True)
        page.close(verbose=False)
        assert tunnel.call_count == times
