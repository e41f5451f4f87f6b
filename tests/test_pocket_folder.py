"""The folder of the browser demo: what goes into it."""

import gzip
import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from demo_model_fixture import ABOUT, make_model
from PIL import Image
from pocket_site import COMMITTED

from going_modular.app import model as app
from going_modular.demo_folder import DeployError, upload_plan
from going_modular.files import file_sha256
from pocket import site
from pocket.model_file import ConvertError, preparation_of
from pocket.runtimes import FONTS, LITE_RT, ORT_WEB, RECORD, Engine
from pocket.server import ISOLATION
from pocket.teaching import RULES

NOT_KEPT = {"README.md", ".gitattributes", "sw-remove.js", "sw.js", "files.json"}
BINARY = (".gz", ".woff2", ".jpg", ".png", ".onnx")


@pytest.fixture(autouse=True)
def runtime(monkeypatch, tmp_path):
    """Stand-ins for what npm brings."""

    def fetch(engine: Engine) -> Path:
        folder = tmp_path / "brought" / engine.code.name
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*brought_for(engine), RECORD):
            is_text = name.endswith((".js", ".mjs", ".txt"))
            content = b"text" if is_text else gzip.compress(b"program", mtime=0)
            (folder / name).write_bytes(content)
        return folder

    monkeypatch.setattr(Engine, "fetch", fetch)


def brought_for(engine: Engine) -> set[str]:
    packages = engine.packages + FONTS
    return {name for package in packages for name in package.files.values()}


def files_in(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def examples(tmp_path):
    """Two models, each with its pictures to try."""
    files = [tmp_path / "a.PNG", tmp_path / "b.jpg"]
    for file in files:
        Image.new("RGB", (8, 6), "red").save(file)
    return {make_model(tmp_path / "any_name.onnx"): files, COMMITTED: files[1:]}


def test_the_folder_is_complete_and_says_what_the_model_says(examples, tmp_path):
    model, pictures = next(iter(examples.items()))
    folder = site.write_pocket(model, tmp_path / "site", examples=pictures)
    assert (folder / site.MODEL).read_bytes() == model.read_bytes()
    assert_complete(folder, ORT_WEB)
    about = json.loads((folder / "model.json").read_text())
    assert about == {
        "file": site.MODEL,
        "starts_with": ["vendor/ort.wasm.gz", site.MODEL],
        "sha256": file_sha256(model),
        "examples": ["examples/1.png", "examples/2.jpg"],
        **asdict(ABOUT),
        **app.CONTRACT,
    }
    engine, _, why = site.choose_engine(model)
    assert engine is ORT_WEB and "floats" in why and why.endswith(".")
    folder = site.write_pocket(COMMITTED, tmp_path / "committed")
    engine, content, why = site.choose_engine(COMMITTED)
    assert engine is LITE_RT and why.startswith("Every step")
    assert gzip.decompress((folder / site.TFLITE).read_bytes()) == content
    assert_complete(folder, LITE_RT)
    about = json.loads((folder / "model.json").read_text())
    assert about["file"] == site.TFLITE
    assert about["sha256"] == file_sha256(COMMITTED), "of the file that was tested"
    assert about["preparation"] == asdict(preparation_of(COMMITTED))
    teaching = about["teaching"]
    assert RULES.items() <= teaching.items()
    assert teaching["counts"] == about["reference_counts"]
    content = gzip.decompress((folder / teaching["file"]).read_bytes())
    assert len(content) == 450 * (teaching["dimensions"] + 4)


def assert_complete(folder: Path, engine: Engine) -> None:
    """All of an engine is there, and all that a visitor keeps is listed, as it is."""
    there = files_in(folder)
    assert {f"{site.VENDOR}/{name}" for name in brought_for(engine)} < there.keys()
    code = {file.name: file.read_bytes() for file in engine.code.iterdir()}
    assert code.items() <= there.items()
    listed = json.loads((folder / "files.json").read_text())["files"]
    assert listed.items() <= {name: len(body) for name, body in there.items()}.items()
    unlisted = {n for n in there.keys() - listed.keys() if not n.endswith(".txt")}
    assert unlisted - {"prepare.wat"} == NOT_KEPT, "that one is a source"
    for file in upload_plan(folder):  # every binary file goes to LFS
        is_text = b"\0" not in there[file.path] and not file.path.endswith(BINARY)
        assert file.storage == ("git" if is_text else "LFS"), file.path


def test_no_earlier_engine_stays_and_nothing_of_others_goes(examples, tmp_path):
    alone, model = {}, next(iter(examples))
    for source, some in examples.items():
        folder = site.write_pocket(source, tmp_path / source.stem, examples=some)
        alone[source] = files_in(folder)
    folder = tmp_path / "source"
    folder.mkdir()
    for name in site.PAGE_FILES:  # the page's own source folder will do
        shutil.copyfile(site.PAGE / name, folder / name)
    (folder / "notes.md").write_text("mine")
    before = files_in(folder)
    for source in (model, COMMITTED, model):
        site.write_pocket(source, folder, examples=examples[source])
        assert files_in(folder) == before | alone[source]
    with pytest.raises(ConvertError, match="floats"):
        site.write_pocket(model, folder, engine=LITE_RT)
    assert files_in(folder) == before | alone[model]
    site.write_pocket(COMMITTED, folder, engine=ORT_WEB)
    assert (folder / site.MODEL).read_bytes() == site.as_carried(COMMITTED, ORT_WEB)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(DeployError, match="There is no model"):
        site.write_pocket(tmp_path / "model.onnx", tmp_path / "site")
    for content in (b"", b"version https://git-lfs", b"\x08\x07"):
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(DeployError, match="git lfs pull"):
            site.write_pocket(tmp_path / "model.onnx", tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_page_files_name_no_other_host_and_ask_a_space_for_our_headers():
    allowed = {"http://www.w3.org/2000/svg"}
    for name in site.PAGE_FILES:
        text = (site.PAGE / name).read_text(encoding="utf-8")
        assert set(re.findall(r"\bhttps?://[^\s\"'`)]+", text)) <= allowed, name
        assert not re.search(r"localStorage|sessionStorage|\.cookie", text)
        assert ("indexedDB" in text) == (name == "taught-db.js"), "one place to look at"
    front = (site.PAGE / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert "sdk: static" in front and "app_file: index.html" in front
    asked = dict(re.findall(r"^  (cross-origin-[\w-]+): ([\w-]+)$", front, re.M))
    assert asked == {name.lower(): value for name, value in ISOLATION.items()}
