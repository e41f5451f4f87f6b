"""What the demo's page says and keeps; and nothing opens a public link by itself."""

import json
import re
import runpy
import shutil
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

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
    """Run the app up to its launch: its page, all words on it, its examples."""
    demo = runpy.run_path(str(folder / "app.py"))["demo"]
    words = "\n".join(str(getattr(b, "value", "")) for b in demo.blocks.values())
    sets = [b for b in demo.blocks.values() if b.get_block_name() == "dataset"]
    shown = [Path(row[0]["path"]).name for block in sets for row in block.samples]
    return demo, words, shown


def test_what_a_visitor_sent_is_deleted(tmp_path, monkeypatch):
    uploads = tmp_path / "uploads"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    demo, words, _ = build(lay_out(tmp_path / "demo"))
    assert "# FoodVision Mini\nPizza, steak or sushi? Show me a plate." in words
    assert "450 real photos" in words and "**147 of 150** test pictures" in words
    assert "deleted within two minutes" in words and its_page.PRACTICE not in words
    assert (demo.delete_cache, demo._queue.max_size) == ((30, 60), 64)
    assert demo.analytics_enabled is False
    demo.delete_cache = (1, 8)  # seconds, to see in a moment what takes minutes
    _, url, _ = demo.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False
    )
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
    assert build(folder)[2] == []
    (folder / "examples").mkdir()
    for name in ("sushi.png", "pizza.jpg", "steak.jpg"):
        photo_of(GREEN, folder / "examples" / name)
    _, words, shown = build(folder)
    assert shown == ["pizza.jpg", "steak.jpg", "sushi.png"]
    assert its_page.PRACTICE in words and "drawn practice pictures" in words
    assert "BBQ ribs, beef tartare or miso soup? Show me a plate." in words
    predict = runpy.run_path(str(folder / "app.py"))["predict"]
    bars, note = predict(str(folder / "examples" / "sushi.png"))
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
