"""What tests of deploy/ share: a target's Python, bad input, its README's clients."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from drawn_images import drawn_image
from odd_pictures import JPEG, REFUSED, black_png
from PIL import Image

from deploy.local_server import post
from deploy.trial import TargetResult, read_trials
from going_modular.app.model import SENTENCES, Predictor
from going_modular.drawn import CLASS_NAMES

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "models" / "foodvision_mini.onnx"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+(/\S*\w)")
LARGE = "Send at most 15 MB."


def python_of(target: str, module: str, name: str) -> Path:
    """The Python whose environment has a target's packages, or skip."""
    for python in (ROOT / "build/targets" / target / "bin/python", sys.executable):
        found = f"import importlib.util as u; assert u.find_spec({module!r})"
        if Path(python).exists() and not subprocess.call(
            [python, "-c", found], stderr=subprocess.DEVNULL
        ):
            return Path(python)
    pytest.skip(
        f"needs {name}: make targets, or "
        f"pip install -r deploy/{target}/requirements.txt"
    )


def jpeg(width: int, height: int) -> bytes:
    """A JPEG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 60, 40)).save(file, "JPEG")
    return file.getvalue()


def bad_input() -> dict[str, tuple[bytes, int, str]]:
    """What is no usable picture: its bytes, and the status and sentence it gets."""
    refused = {
        name: (body, 400, SENTENCES[why]) for name, (body, why) in REFUSED.items()
    }
    return refused | {
        "200 megapixels": (black_png(20_000, 10_000), 400, SENTENCES["too large"]),
        "20 MB": (JPEG + bytes(20_000_000), 413, LARGE),
    }


def assert_bad_input_is_refused(url: str) -> int:
    """Send all of that, a picture after each, and return the number of requests."""
    for name, (body, wanted, sentence) in bad_input().items():
        status, answer = post(url, body)
        assert (name, status, answer) == (name, wanted, {"detail": answer["detail"]})
        assert sentence in answer["detail"], name
        assert post(url, JPEG)[0] == 200, f"not answered after {name}"
    return 2 * len(bad_input())


@contextmanager
def logged(log: Path) -> Iterator[list[str]]:
    """Collect the lines that are logged during the `with`, once it has ended."""
    lines: list[str] = []
    before = settled(log)
    yield lines
    lines += settled(log).removeprefix(before).splitlines()


def settled(log: Path) -> str:
    """A log's text, once nothing has been added for a while."""
    text, since = log.read_text(), time.monotonic()
    while time.monotonic() < since + 0.5:
        time.sleep(0.05)
        if text != (text := log.read_text()):
            since = time.monotonic()
    return text


def draw_photos(folder: Path, *, each: int) -> list[Path]:
    """Draw some pictures of every class."""
    files = []
    for name in CLASS_NAMES:
        for number in range(each):
            files.append(folder / f"{name}_{number}.jpg")
            drawn_image(name, number, size=(256, 192)).save(files[-1])
    return files


def assert_same(answer: dict, photo: Path | bytes, predictor: Predictor) -> None:
    """Hold a server's answer against the Predictor's, in another environment."""
    picture = io.BytesIO(photo) if isinstance(photo, bytes) else photo
    wanted = predictor.predict(picture)
    near = {"abs": 1e-3}  # ONNX Runtime's versions differ in the last digits
    assert answer["probabilities"] == pytest.approx(wanted.probabilities, **near)
    assert answer["knn_similarity"] == pytest.approx(wanted.knn_similarity, **near)
    assert answer["in_distribution_score"] == pytest.approx(
        wanted.in_distribution_score, **near
    )
    if "text" in answer:
        name, probability = wanted.best
        assert (answer["class"], answer["verdict"]) == (name, wanted.verdict)
        assert answer["probability"] == pytest.approx(probability, **near)
        assert answer["text"].splitlines()[0] == wanted.text.splitlines()[0]


class BytesServer:
    """What every server does that takes a picture as a request's body.

    Attributes:
        target: Its folder in deploy/.
        line: What each line of its log holds.
        kinds: Content types that it takes for nothing more than a word.
    """

    target: str
    line: str
    kinds: tuple[str, ...]

    def test_it_answers_as_the_predictor_does(self, url, photos, predictor):
        for photo in photos:
            status, answer = post(url, photo.read_bytes())
            assert status == 200
            assert_same(answer, photo, predictor)

    def test_bad_input_gets_a_sentence_and_a_line(self, url, log):
        with logged(log) as lines:
            requests = assert_bad_input_is_refused(url)
        assert len(lines) == requests
        assert all(self.line in line for line in lines)

    def test_a_phones_48_megapixels_are_answered(self, url, predictor):
        body = jpeg(8000, 6000)
        status, answer = post(url, body)
        assert status == 200
        assert_same(answer, body, predictor)

    def test_the_bytes_say_what_it_is_not_the_content_type(self, url, log):
        with logged(log) as lines:
            for kind in self.kinds:
                assert post(url, JPEG, kind)[0] == 200
                status, answer = post(url, b'{"data": [1, 2]}', kind)
                assert (status, answer) == (400, {"detail": SENTENCES["no picture"]})
        assert len(lines) == 2 * len(self.kinds)

    @pytest.mark.parametrize("client", ["curl", "python", "javascript"])
    def test_the_readmes_clients(self, url, photos, predictor, tmp_path, client):
        plate = tmp_path / "plate.jpg"
        plate.write_bytes(photos[0].read_bytes())
        said = run_client(self.target, client, url, tmp_path)
        assert predictor.predict(plate).text.splitlines()[0] in said
        plate.write_bytes(b"")
        assert SENTENCES["empty"] in run_client(self.target, client, url, tmp_path)

    def test_try_it_writes_a_trial(self, python, photos, predictor, tmp_path):
        listed, out = tmp_path / "photos.json", tmp_path / "out.json"
        listed.write_text(json.dumps([str(photo) for photo in photos]))
        subprocess.run(
            [python, "-m", f"deploy.{self.target}.try_it", listed, out],
            cwd=ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            check=True,
            timeout=120,
        )
        (trial,) = read_trials(out)
        assert trial.median_ms > 0
        for answer, photo in zip(trial.answers, photos, strict=True):
            assert_same(answer, photo, predictor)
        self.check(trial)

    def check(self, trial: TargetResult) -> None:
        """Look at what only this target's trial has."""
        raise NotImplementedError


def ports_of(config: str) -> list[int]:
    """The ports that the settings name."""
    found = re.findall(r"(?:127\.0\.0\.1:|_port=)(\d+)", config)
    return [int(port) for port in found]


def clients_of(target: str) -> dict[str, str]:
    """A README's clients: its curl line, its Python and its JavaScript."""
    blocks = BLOCK.findall((ROOT / "deploy" / target / "README.md").read_text("utf-8"))
    found = {
        "curl" if language == "bash" else language: code
        for language, code in blocks
        if ADDRESS.search(code)
    }
    assert found.keys() == {"curl", "python", "javascript"}
    assert all(len(code.splitlines()) <= 14 for code in found.values())
    return found


def run_client(target: str, client: str, url: str, folder: Path) -> str:
    """Run one, with the README's address replaced, where plate.jpg lies.

    Returns:
        What it printed.
    """
    code, asked = clients_of(target)[client], urlsplit(url)
    assert {path for path in ADDRESS.findall(code)} == {asked.path}
    code = ADDRESS.sub(url, code)
    name, program = {
        "curl": ("client.sh", "sh"),
        "python": ("client.py", sys.executable),
        "javascript": ("client.mjs", "node"),
    }[client]
    for needed in (client, program):
        if needed in ("curl", "node") and not shutil.which(needed):
            pytest.skip(f"needs {needed}")
    (folder / name).write_text(code, "utf-8")
    done = subprocess.run(
        [program, name],
        cwd=folder,
        env={**os.environ, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
