"""Uploading to a Hub on this machine, and pushes rehearsed with Git LFS."""

import hashlib
import json
import os
import subprocess
import tempfile
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock

import pytest
from huggingface_hub import HfApi, close_session
from huggingface_hub.utils import filter_repo_objects
from small_demo import FILES, MODEL, TOKEN, write_files

from going_modular import spaces
from going_modular.demo_folder import DeployError
from going_modular.spaces import git_lfs_missing, rehearse_push, upload_to_space


class FakeHub(BaseHTTPRequestHandler):
    """Answers "create this Space" with a status, and knows no Space."""

    def reply(self, status: int, content: dict):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        asked = json.loads(self.rfile.read(size))
        self.server.asked.append((self.path, asked, self.headers["Authorization"]))
        said = {"error": "what the Hub says"}
        if self.server.status in (200, 409):
            said["url"] = "https://huggingface.co/spaces/me/mini"
        self.reply(self.server.status, said)

    def do_GET(self):
        self.reply(404, {"error": "no such Space"})

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    """A Hub on this machine; uploads are noted down instead of sent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    server.asked, server.uploads, server.status = [], [], 200

    class Api(HfApi):
        def upload_folder(self, **options):
            server.uploads.append(options)

    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    close_session()  # the Hub's client remembers its proxies
    monkeypatch.setattr(spaces, "HfApi", partial(Api, endpoint=address))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [200, 409], ids=["new", "there already"])
def test_upload_creates_the_space_and_sends_the_folder(status, hub, demo, capfd):
    hub.status = status
    url = upload_to_space(demo, "me/mini", token=f" {TOKEN}\n")
    assert url.endswith("/spaces/me/mini")
    [(path, asked, header)] = hub.asked
    assert path == "/api/repos/create" and header == f"Bearer {TOKEN}"
    wanted = {"name": "mini", "organization": "me", "type": "space", "sdk": "gradio"}
    assert asked == wanted
    [sent] = hub.uploads
    assert (sent["repo_id"], sent["repo_type"]) == ("me/mini", "space")
    assert sent["folder_path"] == demo
    everything = [p.relative_to(demo).as_posix() for p in demo.rglob("*")]
    kept = filter_repo_objects(everything, ignore_patterns=sent["ignore_patterns"])
    assert sorted(name for name in kept if (demo / name).is_file()) == FILES
    printed = "".join(capfd.readouterr())
    assert "6 files" in printed and TOKEN not in printed


def test_upload_of_another_kind(hub, demo):
    (demo / "README.md").write_text("---\nsdk: static\n---\n")
    upload_to_space(demo, "me/pocket", token=TOKEN, sdk="static")
    assert hub.asked[0][1]["sdk"] == "static"
    assert "hardware" not in hub.asked[0][1]
    (demo / "README.md").write_text("---\ntitle: x\nsdk: gradio\n---\n")
    upload_to_space(demo, "me/mini", token=TOKEN, hardware="zero-a10g")
    assert hub.asked[1][1]["hardware"] == "zero-a10g"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (402, ["PRO", "ZeroGPU", "static Space", "free"]),
        (401, ["token", "settings/tokens"]),
        (403, ["write access", "user name"]),
        (500, ["500", "try again"]),
    ],
)
def test_refusals_are_explained(hub, demo, status, words, capfd):
    hub.status = status
    with pytest.raises(DeployError) as caught:
        upload_to_space(demo, "me/mini", token=TOKEN)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "what the Hub says" in message
    assert not hub.uploads
    assert TOKEN not in message + "".join(capfd.readouterr())


def test_no_message_quotes_the_token(hub, demo, monkeypatch):
    error = ConnectionError(f"bad header b'Bearer {TOKEN}'")
    monkeypatch.setattr(spaces, "_upload", mock.Mock(side_effect=error))
    with pytest.raises(DeployError, match="could not be reached") as caught:
        upload_to_space(demo, "me/mini", token=TOKEN)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token": None}, "token is empty"),
        ({"token": "hf_a b"}, "holds characters"),
        ({"space_name": "mini"}, "user/space"),
        ({"space_name": "https://huggingface.co/spaces/me/mini"}, "user/space"),
        ({"sdk": "static"}, "it has gradio"),
    ],
)
def test_plain_mistakes_never_reach_the_hub(hub, demo, changes, words):
    options = {"folder": demo, "space_name": "me/mini", "token": TOKEN} | changes
    with pytest.raises(DeployError, match=words) as caught:
        upload_to_space(**options)
    assert not hub.asked
    assert str(options["token"]) not in str(caught.value)


# Pushing with real git and Git LFS, out of reach of the reader's settings

missing_lfs = git_lfs_missing()
needs_git_lfs = pytest.mark.skipif(
    missing_lfs is not None, reason=f"git-lfs rehearsal: {missing_lfs}"
)


@pytest.fixture
def no_git_settings(tmp_path, monkeypatch):
    """An empty home, and misleading variables as a git hook or a reader sets them."""
    home, settings = tmp_path / "home", tmp_path / "settings"
    home.mkdir()
    settings.write_text("[commit]\n\tgpgsign = true\n[core]\n\tautocrlf = true\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_LFS_SKIP_PUSH", "1")
    before = settings.read_bytes()
    yield
    assert settings.read_bytes() == before
    assert os.listdir(home) == []


@needs_git_lfs
def test_rehearsal_pushes_a_pointer_and_gets_the_same_bytes(
    demo, tmp_path, no_git_settings
):
    workdir = tmp_path / "some where"
    for _ in range(2):
        result = rehearse_push(demo, workdir)
        assert list(result.files) == FILES
        assert result.same_bytes
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
@pytest.mark.parametrize("name", ["F#", "5%", "%41", "who?", "a;b=c", "https:", "[x]"])
def test_rehearsal_works_in_folders_of_any_name(demo, tmp_path, monkeypatch, name):
    for variable in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(variable, str(tmp_path / name))
    (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    result = rehearse_push(demo, tmp_path / name / "work")
    assert result.same_bytes and result.pointer
    assert os.listdir(tmp_path / name) == ["work"]


@needs_git_lfs
def test_rehearsal_notices_what_does_not_come_back(demo, tmp_path, no_git_settings):
    write_files(demo, {".gitignore": b"README.md\n"})
    result = rehearse_push(demo, tmp_path / "work")
    assert not result.same_bytes
    assert "README.md" not in result.files


@needs_git_lfs
def test_rehearsal_without_lfs_files_has_no_pointer(tmp_path):
    folder = write_files(tmp_path / "demo", {"index.html": b"<p>hello</p>\n"})
    result = rehearse_push(folder, tmp_path / "work")
    assert (result.model, result.pointer, result.same_bytes) == ("", "", True)


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
        if "lfs" in words:
            raise subprocess.CalledProcessError(1, words)

    monkeypatch.setattr(spaces.subprocess, "run", run)
    message = git_lfs_missing()
    assert message.startswith("git-lfs is" if found else "git is")
    assert "apt-get install" in message
    with pytest.raises(DeployError, match="not installed"):
        rehearse_push(demo, tmp_path / "work")
