"""Uploading to a Hub on this machine, and pushes rehearsed with Git LFS."""

import hashlib
import json
import os
import re
from functools import partial
from unittest import mock

import pytest
from huggingface_hub import HfApi, close_session
from huggingface_hub.utils import filter_repo_objects
from small_demo import FILES, MODEL, TOKEN, write_files

from going_modular import app_process, spaces
from going_modular.demo_folder import DeployError
from going_modular.spaces import git_lfs_missing, rehearse_push, upload_to_space

SPACE = "https://huggingface.co/spaces/me/mini"


@pytest.fixture
def hub(site, monkeypatch):
    """A Hub on this machine; uploads are noted down instead of sent."""
    site.created, site.uploads, site.status = [], [], 200

    def create(handler):
        told = json.loads(handler.body), handler.headers["Authorization"]
        site.created.append(told)
        handler.send_response(site.status)
        handler.end_headers()
        said = {"error": "what the Hub says", "url": SPACE}
        handler.wfile.write(json.dumps(said).encode())

    class Api(HfApi):
        def upload_folder(self, **options):
            site.uploads.append(options)

    site.pages["/api/repos/create"] = create
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    close_session()  # the Hub's client remembers its proxies
    monkeypatch.setattr(spaces, "HfApi", partial(Api, endpoint=site.root))
    return site


@pytest.mark.parametrize(
    ("sdk", "status", "hardware"), [("gradio", 200, "zero-a10g"), ("static", 409, None)]
)
def test_upload_makes_a_space_if_there_is_none_and_sends_the_folder(
    sdk, status, hardware, hub, demo, capfd
):
    hub.status = status
    (demo / "README.md").write_text(f"---\ntitle: x\nsdk: {sdk}\n---\n")
    url = upload_to_space(demo, "me/mini", token=f" {TOKEN}\n", hardware=hardware)
    assert url.endswith("/spaces/me/mini")
    [(asked, header)] = hub.created
    assert header == f"Bearer {TOKEN}"
    wanted = {"name": "mini", "organization": "me", "type": "space", "sdk": sdk}
    assert asked == wanted | ({"hardware": hardware} if hardware else {})
    [sent] = hub.uploads
    assert (sent["repo_id"], sent["repo_type"]) == ("me/mini", "space")
    assert sent["folder_path"] == demo
    everything = [p.relative_to(demo).as_posix() for p in demo.rglob("*")]
    kept = filter_repo_objects(everything, ignore_patterns=sent["ignore_patterns"])
    assert sorted(name for name in kept if (demo / name).is_file()) == FILES
    printed = "".join(capfd.readouterr())
    assert "6 files" in printed and TOKEN not in printed


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (402, "static Space: free.*ZeroGPU.*PRO account"),
        (401, "token.*settings/tokens"),
        (403, "write access.*user name"),
        (500, "500.*try again"),
        (None, "could not be reached"),
    ],
)
def test_refusals_are_explained(hub, demo, status, words, monkeypatch, capfd):
    hub.status = status
    if status is None:
        error = ConnectionError(f"bad header b'Bearer {TOKEN}'")
        monkeypatch.setattr(spaces, "HfApi", mock.Mock(side_effect=error))
    with pytest.raises(DeployError) as caught:
        upload_to_space(demo, "me/mini", token=TOKEN)
    assert re.search(words, message := str(caught.value).replace("\n", " "))
    assert status is None or "what the Hub says" in message
    assert not hub.uploads
    assert TOKEN not in message + "".join(capfd.readouterr())
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token": "hf_a b"}, "empty or holds characters"),
        ({"space_name": SPACE}, "user/space"),
        ({"folder": None}, "must name the kind of Space"),
    ],
)
def test_plain_mistakes_never_reach_the_hub(hub, demo, changes, words):
    options = {"folder": demo, "space_name": "me/mini", "token": TOKEN} | changes
    options["folder"] = options["folder"] or demo / "examples"
    with pytest.raises(DeployError, match=words):
        upload_to_space(**options)
    assert not hub.created


needs_git_lfs = pytest.mark.skipif(
    git_lfs_missing() is not None, reason="needs git and git-lfs"
)


@pytest.fixture
def no_git_settings(tmp_path, monkeypatch):
    """An empty home, and misleading variables as a git hook or a reader sets them."""
    home, settings = tmp_path / "home", tmp_path / "settings"
    home.mkdir()
    settings.write_text("[commit]\n\tgpgsign = true\n[core]\n\tautocrlf = true\n")
    misleading = {"HOME": home, "USERPROFILE": home, "GIT_CONFIG_GLOBAL": settings}
    misleading |= {"GIT_DIR": tmp_path / "nowhere", "GIT_LFS_SKIP_PUSH": 1}
    for name, value in misleading.items():
        monkeypatch.setenv(name, str(value))
    before = settings.read_bytes()
    yield
    assert settings.read_bytes() == before
    assert os.listdir(home) == []


@needs_git_lfs
@pytest.mark.parametrize("name", ["some where", "C#", "%41 [x]"])
def test_rehearsal_pushes_a_pointer_and_gets_the_same_bytes(
    name, demo, tmp_path, no_git_settings
):
    result = rehearse_push(demo, workdir := tmp_path / name)
    assert result.files == FILES and result.same_bytes
    assert result.model == "model.onnx"
    assert result.pointer.splitlines() == [
        "version https://git-lfs.github.com/spec/v1",
        f"oid sha256:{hashlib.sha256(MODEL).hexdigest()}",
        f"size {len(MODEL)}",
    ]
    assert os.listdir(workdir) == []
    assert all(command.startswith("git ") for command in result.commands)
    assert any("push origin main" in command for command in result.commands)
    assert str(tmp_path) not in "".join(result.commands)


@needs_git_lfs
def test_rehearsal_notices_what_does_not_come_back(tmp_path, no_git_settings):
    files = {"README.md": b"x", ".gitignore": b"README.md\n"}
    result = rehearse_push(write_files(tmp_path / "demo", files), tmp_path / "work")
    assert result[:4] == ([".gitignore"], "", "", False)


@needs_git_lfs
@pytest.mark.parametrize("content", [MODEL, b"text\n" * 2_100_000], ids=len)
def test_rehearsal_refuses_what_the_hub_would_refuse(demo, tmp_path, content):
    write_files(demo, {"weights.dat": content})
    with pytest.raises(DeployError, match=r"\*\.dat filter=lfs"):
        rehearse_push(demo, tmp_path / "work")


@pytest.mark.parametrize("found", [[], ["git"]], ids=["no git", "no git-lfs"])
def test_missing_programs_are_named(demo, tmp_path, monkeypatch, found):
    def run(words, **_):
        if words[0] not in found:
            raise FileNotFoundError(words[0])
        return mock.Mock(returncode="lfs" in words, stdout="", stderr="")

    monkeypatch.setattr(app_process.subprocess, "run", run)
    wanted = f"^{'git-lfs' if found else 'git'} is not installed.*apt-get install"
    with pytest.raises(DeployError, match=wanted):
        rehearse_push(demo, tmp_path / "work")
