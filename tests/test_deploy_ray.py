"""deploy/ray/: folders through Ray Data, and Ray Serve asked over HTTP.

Ray opens ports for the whole network, so all of this runs in a network of its own.
"""

import contextlib
import ctypes
import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
import torch
from demo_model_fixture import BLUE, make_model
from deploy_targets import (
    CASES,
    CLIENTS,
    RAY_SERVE,
    command,
    expected,
    file_of,
    run_client,
)
from drawn_images import drawn_image
from odd_pictures import REFUSED
from plain_dishes import write_dishes

from deploy import DEFAULT_MODEL
from deploy.asking import HOST, Server, running
from going_modular.app.model import SENTENCES, PictureError, Predictor
from going_modular.big.features import FeatureStore, weights_fingerprint
from going_modular.big.food101 import Tree, choose_photos
from going_modular.drawn import CLASS_NAMES
from going_modular.model_builder import build_effnet_lite2
from going_modular.stored_features import Extractor

CLONE_NEWNET = 0x40000000
NEAR = 1e-6
QUEUED = 32  # requests that may wait
ROOM = 2 * 4 + QUEUED  # and those that two replicas take on
ANSWER = ["class", "probability", "knn_similarity", "in_distribution_score", "verdict"]
BATCH = "deploy.ray.batch"


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[int]:
    """A network with only a loopback, for this thread and what it starts."""
    if not importlib.util.find_spec("ray"):
        pytest.skip("needs Ray: pip install -r deploy/ray/requirements.txt")
    if sys.platform != "linux" or os.geteuid() or not shutil.which("ip"):
        pytest.skip("needs root on Linux and iproute2, to keep Ray off the network")
    with open("/proc/thread-self/ns/net") as before:
        if ctypes.CDLL(None).unshare(CLONE_NEWNET):
            pytest.skip("needs the right to make a network namespace")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield os.stat("/proc/thread-self/ns/net").st_ino
        finally:
            ctypes.CDLL(None).setns(before.fileno(), CLONE_NEWNET)


def left_over(network: int) -> dict[int, str]:
    """Return the processes in that network, but for this one: id, command line."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "ns" / "net").stat().st_ino == network:
                line = (process / "cmdline").read_text().replace("\0", " ").strip()
                if line and int(process.name) != os.getpid():
                    found[int(process.name)] = line
    return found


def assert_all_stopped(network: int) -> None:
    end = time.monotonic() + 60  # the last of Ray goes a moment after the command
    while left_over(network) and time.monotonic() < end:
        time.sleep(0.2)
    assert left_over(network) == {}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(DEFAULT_MODEL, threads=1)


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Ours without what Ray or another test may have set; Ray's files go at the end."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "PYTHON"))}
    # Short: the names of Ray's sockets hold it, and may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as home:
        keep |= {"HOME": home, "RAY_TMPDIR": home}  # Ray writes a token to the one
        keep |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        yield {**keep, "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.fixture(scope="module")
def start(environment):
    """Runs a module with Ray."""

    def start(*words: object, **settings: str) -> subprocess.CompletedProcess:
        told = {"env": environment | settings, "timeout": 300}
        return command(sys.executable, "-m", *words, **told)

    return start


# A folder to a table


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Pictures in folders, one of them unlike food, and four files that are broken."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in CLASS_NAMES:
        (folder / name).mkdir()
        for number in range(6):
            picture = drawn_image(name, number, size=(256, 192))
            picture.save(folder / name / f"{number}.jpg")
    odd = folder / "ein Käse, 50% off"
    odd.mkdir()
    (odd / 'blue "sky".png').write_bytes(file_of(BLUE, "PNG"))
    whole = (folder / "pizza" / "0.jpg").read_bytes()
    (folder / "pizza" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "list.jpg").write_bytes(b"my shopping list: milk, eggs")
    (folder / "unreadable.jpg").symlink_to("/proc/self/mem")
    (folder / ".DS_Store").write_bytes(b"x")
    return folder


def check_table(table: pd.DataFrame, folder: Path, predictor: Predictor) -> None:
    assert table.columns.tolist() == ["file", *ANSWER, "error"]
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.*g"))
    assert table["file"].tolist() == names
    for row in table.to_dict("records"):
        found = {key: row[key] for key in ANSWER}
        try:
            picture = (folder / row["file"]).read_bytes()
            wanted = expected(predictor, picture, NEAR)
        except (PictureError, OSError) as error:
            ours = isinstance(error, PictureError)
            assert (str(error) if ours else "Input/output error") in row["error"]
            assert pd.isna([*found.values()]).all()
        else:
            assert pd.isna(row["error"])
            assert found == {key: wanted[key] for key in ANSWER}


def test_a_folder_becomes_a_csv(start, network, predictor, folder, tmp_path):
    file = tmp_path / "answers.csv"
    done = start(BATCH, folder, file)
    assert done.returncode == 0, done.stderr
    assert_all_stopped(network)
    assert os.listdir(tmp_path) == [file.name]
    check_table(pd.read_csv(file), folder, predictor)
    assert "23 files, 2 workers" in done.stdout
    assert "4 of them have no answer" in done.stdout


def test_on_a_cluster_one_setting_changes(start, network, folder, tmp_path):
    """Two of Ray's nodes, one core each; the model is another one."""
    model, file = make_model(tmp_path / "model.onnx"), tmp_path / "answers.parquet"

    def ray(*arguments: str) -> None:
        for _ in range(3):  # Ray's own limit is short for a busy computer
            done = start("ray.scripts.scripts", *arguments, RAY_AUTH_MODE="token")
            if "timed out during startup" not in done.stderr:
                break
            start("ray.scripts.scripts", "stop", "--force")
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        ray("start", "--head", "--num-cpus=1", "--include-dashboard=false")
        words, cluster = (folder, file, "--model", model), {"RAY_ADDRESS": "auto"}
        hasty = cluster | {"RAY_DATA_DEFAULT_WAIT_FOR_MIN_ACTORS_S": "10"}
        done = start(BATCH, *words, **hasty)
        assert done.returncode and "no room for 2 workers" in done.stderr
        assert not file.exists()
        ray("start", "--address=127.0.0.1:6379", "--num-cpus=1")
        done = start(BATCH, *words, **cluster)
        assert done.returncode == 0, done.stderr
        assert "23 files, 2 workers" in done.stdout
        nodes = [line for line in left_over(network).values() if "raylet" in line]
        assert len(nodes) >= 2, "the cluster is not ours to stop"
    finally:
        for process in left_over(network):  # "ray stop" would stop others' Ray too
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    assert_all_stopped(network)
    check_table(pd.read_parquet(file), folder, Predictor(model, threads=1))


# A folder to the lesson's own files of features


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Tree:
    """A small tree, with one photo that is broken."""
    folder = tmp_path_factory.mktemp("data") / "dishes"
    tree = Tree(write_dishes(folder, {"train": 8, "test": 8}, dishes=3), True)
    choose_photos(tree, share=0.5).train[7][0].write_bytes(b"not a photo")
    return tree


def test_workers_make_the_features_that_the_lesson_makes(
    start, network, data, tmp_path
):
    features = "deploy.ray.features", "effnet_lite2", data.folder
    features += "--share", 0.5, "--input-size", 64
    done = start(*features)
    assert "24 photos, 24 made now" in done.stdout, done.stderr[-3000:]
    assert_all_stopped(network)
    built = build_effnet_lite2(2, input_size=64)
    part = choose_photos(data, share=0.5)
    told = {"network": weights_fingerprint(built), "width": 1280}
    for samples in (part.train, part.test):
        theirs = FeatureStore(data.features_folder, samples, **told)
        mine = FeatureStore(tmp_path, samples, **told)
        mine.fill(Extractor(built))
        got, wanted = theirs.read(), mine.read()
        assert (got.samples, got.skipped) == (wanted.samples, wanted.skipped)
        pairs = zip(got.features.tensors, wanted.features.tensors, strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    theirs.files[0].unlink()  # run again, it makes what is gone, and nothing else
    assert "24 photos, 12 made now" in start(*features).stdout
    assert_all_stopped(network)


@pytest.mark.parametrize(("command", "words", "sentence"), CASES["ray"]["commands"])
def test_a_command_says_what_is_wrong_before_it_starts(
    command, words, sentence, folder, data, tmp_path, monkeypatch, capsys
):
    (tmp_path / "pointer.onnx").write_text("version https://git-lfs.github.com/spec/v1")
    (tmp_path / "empty").mkdir()
    for name, place in {"pictures": folder, "tree": data.folder}.items():
        (tmp_path / name).symlink_to(place)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [command, *words.split()])
    with pytest.raises(SystemExit) as refusal:
        import_module(f"deploy.ray.{command}").main()
    assert sentence in f"{refusal.value} {capsys.readouterr().err}"
    assert not Path("a.csv").exists()


# A service


@pytest.fixture(scope="module")
def service(network, environment) -> Iterator[Server]:
    with running(RAY_SERVE, environment=environment) as server:
        yield server
        os.killpg(server.process.pid, signal.SIGINT)  # as Ctrl+C does
        assert server.process.wait(120) == 0, server.log.read_text()[-3000:]
        assert "Traceback" not in server.log.read_text()
        assert_all_stopped(network)


@pytest.fixture(scope="module")
def send(service):
    """Sends the service a request."""

    def send(body=b"", method="POST", path="/predict", kind="") -> HTTPConnection:
        connection = HTTPConnection(HOST, service.port, timeout=120)
        connection.request(method, path, body, {"Content-Type": kind})
        return connection

    return send


def read_reply(connection: HTTPConnection) -> tuple[int, dict | str]:
    with contextlib.closing(connection):
        reply = connection.getresponse()
        text, kind = reply.read().decode(), reply.headers["content-type"]
    return reply.status, json.loads(text) if kind == "application/json" else text


@pytest.fixture(scope="module")
def ask(send):
    return lambda *args, **kwargs: read_reply(send(*args, **kwargs))


def test_service_answers_as_the_predictor_does(ask, predictor, folder):
    for picture in sorted(folder.glob("*/[0-9].jpg")):
        content = picture.read_bytes()
        assert ask(content) == (200, expected(predictor, content, NEAR))


@pytest.mark.parametrize("client", CLIENTS)
def test_the_readmes_clients_ask(service, folder, tmp_path, client):
    plate = (folder / "sushi" / "0.jpg").read_bytes()
    said = run_client(RAY_SERVE, client, service.port, tmp_path, plate)
    assert "This looks like sushi." in said


def test_what_it_cannot_use_is_refused(ask, folder, predictor):
    for name, (body, reason) in REFUSED.items():
        assert ask(body) == (400, {"detail": SENTENCES[reason]}), name
    status, answer = ask(b"--x", kind="Multipart/form-data; boundary=x")
    assert status == 415 and "--data-binary" in answer["detail"]
    assert ask(method="GET")[0] == ask(method="DELETE")[0] == 405
    assert ask(path="/")[0] == ask(path="/predict/more")[0] == 404
    picture = (folder / "steak" / "0.jpg").read_bytes()
    fits = picture + bytes(14_000_000)
    assert ask(fits)[1] == expected(predictor, picture, NEAR)
    status, answer = ask(fits + bytes(2_000_000))
    assert status == 413 and "15 MB" in answer["detail"]


def test_a_full_queue_says_busy_and_loses_nobody(send, network, predictor, folder):
    body = (folder / "pizza" / "1.jpg").read_bytes()

    def has_reply(caller: HTTPConnection) -> bool:
        return bool(select.select([caller.sock], [], [], 0)[0])

    assert read_reply(send(body))[0] == 200  # both replicas are there
    everybody = left_over(network).items()
    replicas = [pid for pid, line in everybody if line.startswith("ray::ServeReplica")]
    assert len(replicas) == 2
    for replica in replicas:
        os.kill(replica, signal.SIGSTOP)  # as if busy with a very long answer
    try:
        callers = [send(body) for _ in range(2 * ROOM)]
        # How many are on their way to a replica, not yet in the queue, changes: more
        # come until ten were turned away, within the time that a request has.
        end = time.monotonic() + 20
        while sum(map(has_reply, callers)) < 10 and time.monotonic() < end:
            time.sleep(0.2)
            callers.append(send(body))
        time.sleep(2)  # the others' replies, if there are any
        turned_away = sum(map(has_reply, callers))
    finally:
        for replica in replicas:
            os.kill(replica, signal.SIGCONT)
    assert 10 <= turned_away <= len(callers) - QUEUED
    replies = [read_reply(caller) for caller in callers]
    refused = [status for status, _ in replies if status != 200]
    assert refused == [503] * turned_away
    right = expected(predictor, body, NEAR)
    assert all(answer == right for status, answer in replies if status == 200)
    assert read_reply(send(body))[0] == 200
