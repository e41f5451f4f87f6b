"""The folder of the browser demo: what goes into it, and how it is served."""

import gzip
import json
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from dataclasses import asdict
from pathlib import Path

import pytest
from demo_model_fixture import ABOUT, make_model
from PIL import Image

from going_modular.app import model as app
from going_modular.demo_folder import DeployError, upload_plan
from going_modular.files import FileError, file_sha256
from going_modular.pocket import site as pocket
from going_modular.pocket.npm import RECORD
from going_modular.pocket.preparation import ConvertError, preparation_of
from going_modular.pocket.runtimes import FONTS, LITE_RT, ORT_WEB, Engine
from going_modular.pocket.server import ISOLATION, serve_folder
from going_modular.pocket.site import (
    ICONS,
    MODEL,
    PAGE,
    PAGE_FILES,
    TFLITE,
    VENDOR,
    as_carried,
    choose_engine,
    describe_model,
    write_pocket,
)

COMMITTED = Path(__file__).resolve().parents[1] / "models" / MODEL
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
    about = json.loads((folder / "model.json").read_text())
    assert about == {
        "file": MODEL,
        "starts_with": ["vendor/ort.wasm.gz", MODEL],
        "sha256": file_sha256(model),
        "examples": ["examples/1.png"],
        "pictures": {
            "enough": app.ENOUGH,
            "max_pixels": app.MAX_PIXELS,
            "heic_start": app.HEIC_START,
            "picture_start": app.PICTURE_START,
            "sentences": app.SENTENCES,
        },
        **asdict(ABOUT),
    }
    listed = json.loads((folder / "files.json").read_text())["files"]
    there = files_in(folder)
    assert listed.items() <= {name: len(body) for name, body in there.items()}.items()
    unlisted = there.keys() - listed.keys()
    assert {name for name in unlisted if not name.endswith(".txt")} == NOT_KEPT
    vendored = {f"{VENDOR}/{name}" for name in brought_for(ORT_WEB)}
    assert vendored < there.keys() and "engine.js" in listed


def test_the_committed_model_can_be_described():
    about = describe_model(COMMITTED)
    assert about["class_names"] == ["pizza", "steak", "sushi"]
    assert about["is_practice"] is False


def test_the_committed_model_goes_in_as_litert_reads_it(tmp_path):
    folder = write_pocket(COMMITTED, tmp_path / "site")
    about = json.loads((folder / "model.json").read_text())
    assert about["file"] == TFLITE
    assert about["sha256"] == file_sha256(COMMITTED), "of the file that was tested"
    assert about["preparation"] == asdict(preparation_of(COMMITTED))
    assert gzip.decompress((folder / TFLITE).read_bytes()) == as_carried(
        COMMITTED, LITE_RT
    )
    there = files_in(folder)
    assert {f"{VENDOR}/{name}" for name in brought_for(LITE_RT)} < there.keys()
    about_known = about["teaching"]
    assert about_known["counts"] == describe_model(COMMITTED)["reference_counts"]
    content = gzip.decompress((folder / about_known["file"]).read_bytes())
    assert len(content) == 450 * (about_known["dimensions"] + 4)
    code = {file.name: file.read_bytes() for file in LITE_RT.code.iterdir()}
    assert code.items() <= there.items()
    listed = json.loads((folder / "files.json").read_text())["files"]
    unlisted = {n for n in there.keys() - listed.keys() if not n.endswith(".txt")}
    assert unlisted == {*NOT_KEPT, "prepare.wat"}, "a source, not run"


def test_the_choice_of_an_engine_comes_with_a_sentence(model):
    engine, why = choose_engine(COMMITTED)
    assert engine is LITE_RT and why.startswith("Every step")
    engine, why = choose_engine(model)
    assert engine is ORT_WEB and "floats" in why and why.endswith(".")


def test_an_engine_can_be_asked_for(model, tmp_path):
    folder = write_pocket(COMMITTED, tmp_path / "site", engine=ORT_WEB)
    assert (folder / MODEL).read_bytes() == as_carried(COMMITTED, ORT_WEB)
    before = files_in(folder)
    with pytest.raises(ConvertError, match="floats"):
        write_pocket(model, folder, engine=LITE_RT)
    assert files_in(folder) == before


def test_another_engine_leaves_nothing_of_the_first(model, tmp_path):
    alone = {
        source: files_in(write_pocket(source, tmp_path / source.stem))
        for source in (model, COMMITTED)
    }
    folder = tmp_path / "site"
    for source in (model, COMMITTED, model):
        assert files_in(write_pocket(source, folder)) == alone[source]


def test_the_page_s_own_source_folder_will_do(model, tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    for name in PAGE_FILES:
        shutil.copyfile(PAGE / name, folder / name)
    (folder / "notes.md").write_text("mine")
    before = files_in(folder)
    for source in (COMMITTED, model):
        assert before.items() <= files_in(write_pocket(source, folder)).items()


def test_the_version_follows_the_files(model, tmp_path):
    def version(folder):
        return json.loads((folder / "files.json").read_text())["version"]

    one = version(write_pocket(model, tmp_path / "one"))
    assert version(write_pocket(model, tmp_path / "two")) == one
    changed = make_model(tmp_path / "other.onnx", trained_on="451 real photos")
    assert version(write_pocket(changed, tmp_path / "two")) != one


def test_a_failure_changes_nothing(model, tmp_path, monkeypatch):
    folder = write_pocket(model, tmp_path / "site")
    before = files_in(folder)

    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pocket.shutil, "copytree", full_disk)
    other = make_model(tmp_path / "other.onnx", trained_on="something else")
    for target in (folder, tmp_path / "new"):
        with pytest.raises(FileError, match="No space left"):
            write_pocket(other, target)
    assert files_in(folder) == before
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs", b"\x08\x07"])
def test_what_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(DeployError, match="git lfs pull"):
        write_pocket(tmp_path / "model.onnx", tmp_path / "site")
    with pytest.raises(DeployError, match="There is no model"):
        write_pocket(tmp_path / "none.onnx", tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_page_files_are_those_that_git_keeps():
    # With files that are new: they are kept with the next commit.
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."]
    listed = subprocess.run(command, cwd=PAGE, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    assert sorted(PAGE_FILES) == sorted(listed.stdout.split())


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


def test_icons_are_of_the_size_that_the_manifest_says(model, tmp_path):
    folder = write_pocket(model, tmp_path / "site")
    manifest = json.loads((folder / "manifest.webmanifest").read_text())
    for icon in manifest["icons"]:
        if icon["type"] == "image/png":
            with Image.open(folder / icon["src"]) as image:
                assert f"{image.width}x{image.height}" == icon["sizes"]
                # A maskable icon fills its square: the phone cuts the corners.
                is_full = image.convert("RGBA").getpixel((0, 0))[3] == 255
            assert is_full == (icon.get("purpose") == "maskable")
    drawn = {file.name for file in ICONS.iterdir()}
    assert {file.name for file in (folder / "icons").iterdir()} == drawn
    assert {Path(icon["src"]).name for icon in manifest["icons"]} < drawn


def test_examples_of_an_earlier_run_go(tmp_path):
    model, folder = make_model(tmp_path / "m.onnx"), tmp_path / "site"
    for name in ("a.png", "b.jpg"):
        Image.new("RGB", (8, 6), "red").save(tmp_path / name)
    write_pocket(model, folder, examples=[tmp_path / "a.png", tmp_path / "b.jpg"])
    write_pocket(model, folder, examples=[tmp_path / "b.jpg"])
    assert [file.name for file in (folder / "examples").iterdir()] == ["1.jpg"]
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert about["examples"] == ["examples/1.jpg"]


def test_readme_asks_a_space_for_the_headers_that_the_server_sends():
    front = (PAGE / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert "sdk: static" in front and "app_file: index.html" in front
    asked = dict(re.findall(r"^  (cross-origin-[\w-]+): ([\w-]+)$", front, re.M))
    assert asked == {name.lower(): value for name, value in ISOLATION.items()}


def fetch(url):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=10) as reply:
        return reply.headers, reply.read()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.wasm", "application/wasm"),
        ("a.webmanifest", "application/manifest+json"),
        ("a.onnx", "application/octet-stream"),
    ],
)
def test_served_as_what_it_is_with_isolation(tmp_path, name, kind):
    for file in ("index.html", name or "index.html"):
        (tmp_path / file).write_bytes(b"x")
    with serve_folder(tmp_path) as served:
        assert served.url.startswith("http://127.0.0.1:")
        headers, body = fetch(served.url + name)
    assert headers["Content-Type"] == kind and body == b"x"
    assert ISOLATION.items() <= dict(headers).items()
    with pytest.raises(urllib.error.URLError):
        fetch(served.url)


def test_serves_nothing_outside_its_folder(tmp_path):
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("x")
    with (
        serve_folder(tmp_path / "site") as served,
        pytest.raises(urllib.error.HTTPError),
    ):
        fetch(served.url + "..%2fsecret.txt")


def test_no_page_or_no_port_is_an_error_that_says_so(tmp_path):
    with pytest.raises(DeployError, match="no index.html"), serve_folder(tmp_path):
        pass
    (tmp_path / "index.html").write_text("x")
    with serve_folder(tmp_path) as served:
        port = int(served.url.split(":")[-1].strip("/"))
        with (
            pytest.raises(DeployError, match="Port"),
            serve_folder(tmp_path, port=port),
        ):
            pass


def test_a_visitor_who_hangs_up_leaves_no_trace_in_the_notebook(tmp_path, capfd):
    (tmp_path / "index.html").write_bytes(b"x" * 20_000_000)
    with serve_folder(tmp_path) as served:
        port = int(served.url.split(":")[-1].strip("/"))
        with socket.create_connection(("127.0.0.1", port)) as visitor:
            visitor.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            visitor.recv(100)
        assert fetch(served.url)[1].startswith(b"x"), "it still answers others"
    assert "".join(capfd.readouterr()) == ""
