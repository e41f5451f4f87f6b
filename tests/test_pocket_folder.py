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
from going_modular.pocket.npm import RECORD
from going_modular.pocket.preparation import ConvertError, preparation_of
from going_modular.pocket.runtimes import FONTS, LITE_RT, ORT_WEB, Engine
from going_modular.pocket.server import ISOLATION
from going_modular.pocket.site import (
    MODEL,
    PAGE,
    PAGE_FILES,
    TFLITE,
    VENDOR,
    as_carried,
    choose_engine,
    write_pocket,
)

NOT_KEPT = {"README.md", ".gitattributes", "sw-remove.js", "sw.js", "files.json"}


@pytest.fixture(autouse=True)
def runtime(monkeypatch, tmp_path):
    """Stand-ins for what npm brings: these tests need none of it."""

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
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def model(tmp_path):
    return make_model(tmp_path / "any_name.onnx")


def test_the_folder_is_complete_and_says_what_the_model_says(model, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "plate.PNG")
    folder = write_pocket(model, tmp_path / "site", examples=[tmp_path / "plate.PNG"])
    assert (folder / MODEL).read_bytes() == model.read_bytes()
    assert_complete(folder, ORT_WEB, not_kept=NOT_KEPT)
    about = json.loads((folder / "model.json").read_text())
    assert about.pop("pictures")["sentences"] == app.SENTENCES
    assert about == {
        "file": MODEL,
        "starts_with": ["vendor/ort.wasm.gz", MODEL],
        "sha256": file_sha256(model),
        "examples": ["examples/1.png"],
        **asdict(ABOUT),
    }


def test_the_committed_model_goes_in_as_litert_reads_it(tmp_path):
    folder = write_pocket(COMMITTED, tmp_path / "site")
    content = gzip.decompress((folder / TFLITE).read_bytes())
    assert content == as_carried(COMMITTED, LITE_RT)
    assert_complete(folder, LITE_RT, not_kept={*NOT_KEPT, "prepare.wat"})  # a source
    about = json.loads((folder / "model.json").read_text())
    assert about["file"] == TFLITE
    assert about["sha256"] == file_sha256(COMMITTED), "of the file that was tested"
    assert about["preparation"] == asdict(preparation_of(COMMITTED))
    known = about["teaching"]
    assert known["counts"] == about["reference_counts"]
    content = gzip.decompress((folder / known["file"]).read_bytes())
    assert len(content) == 450 * (known["dimensions"] + 4)


def assert_complete(folder: Path, engine: Engine, not_kept: set[str]) -> None:
    """All of an engine is there, and all that a visitor keeps is listed."""
    there = files_in(folder)
    assert {f"{VENDOR}/{name}" for name in brought_for(engine)} < there.keys()
    code = {file.name: file.read_bytes() for file in engine.code.iterdir()}
    assert code.items() <= there.items()
    listed = json.loads((folder / "files.json").read_text())["files"]
    assert listed.items() <= {name: len(body) for name, body in there.items()}.items()
    unlisted = there.keys() - listed.keys()
    assert {name for name in unlisted if not name.endswith(".txt")} == not_kept


def test_an_engine_is_chosen_with_a_reason_or_asked_for(model, tmp_path):
    engine, why = choose_engine(COMMITTED)
    assert engine is LITE_RT and why.startswith("Every step")
    engine, why = choose_engine(model)
    assert engine is ORT_WEB and "floats" in why and why.endswith(".")
    folder = write_pocket(COMMITTED, tmp_path / "site", engine=ORT_WEB)
    assert (folder / MODEL).read_bytes() == as_carried(COMMITTED, ORT_WEB)
    before = files_in(folder)
    with pytest.raises(ConvertError, match="floats"):
        write_pocket(model, folder, engine=LITE_RT)
    assert files_in(folder) == before


def test_another_engine_leaves_nothing_of_the_first(model, tmp_path):
    pictures = [tmp_path / "a.png", tmp_path / "b.jpg"]
    for picture in pictures:
        Image.new("RGB", (8, 6), "red").save(picture)
    examples = {model: pictures, COMMITTED: pictures[1:]}
    alone = {
        source: files_in(write_pocket(source, tmp_path / source.stem, examples=some))
        for source, some in examples.items()
    }
    folder = tmp_path / "site"
    for source in (model, COMMITTED, model):
        write_pocket(source, folder, examples=examples[source])
        assert files_in(folder) == alone[source]


def test_the_page_s_own_source_folder_will_do(model, tmp_path):
    folder = tmp_path / "source"
    shutil.copytree(PAGE, folder)
    (folder / "notes.md").write_text("mine")
    before = files_in(folder)
    for source in (COMMITTED, model):
        assert before.items() <= files_in(write_pocket(source, folder)).items()


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs", b"\x08\x07"])
def test_what_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(DeployError, match="git lfs pull"):
        write_pocket(tmp_path / "model.onnx", tmp_path / "site")
    with pytest.raises(DeployError, match="There is no model"):
        write_pocket(tmp_path / "none.onnx", tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_page_files_name_no_other_host():
    allowed = {"http://www.w3.org/2000/svg"}
    for name in PAGE_FILES:
        text = (PAGE / name).read_text(encoding="utf-8")
        assert set(re.findall(r"\bhttps?://[^\s\"'`)]+", text)) <= allowed, name
        assert not re.search(r"localStorage|sessionStorage|\.cookie", text)
        assert ("indexedDB" in text) == (name == "taught-db.js"), "one place to look at"


@pytest.mark.parametrize("engine", [LITE_RT, ORT_WEB], ids=lambda each: each.title)
def test_every_binary_file_goes_to_lfs(tmp_path, engine):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    with_picture = {"examples": [tmp_path / "a.jpg"], "engine": engine}
    folder = write_pocket(COMMITTED, tmp_path / "site", **with_picture)
    for file in upload_plan(folder):
        is_text = b"\0" not in (folder / file.path).read_bytes() and Path(
            file.path
        ).suffix not in (".gz", ".woff2", ".jpg", ".png", ".onnx")
        assert file.storage == ("git" if is_text else "LFS"), file.path


def test_readme_asks_a_space_for_the_headers_that_the_server_sends():
    front = (PAGE / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert "sdk: static" in front and "app_file: index.html" in front
    asked = dict(re.findall(r"^  (cross-origin-[\w-]+): ([\w-]+)$", front, re.M))
    assert asked == {name.lower(): value for name, value in ISOLATION.items()}
