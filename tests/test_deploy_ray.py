"""deploy/ray/: folders through Ray Data. Ray Serve is asked in test_deploy_web.py."""

import contextlib
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

import deploy_targets as targets
import pandas as pd
import pytest
import torch
from demo_model_fixture import BLUE, make_model
from deploy_targets import CASES, assert_all_stopped, expected, left_over
from drawn_images import write_dishes
from pocket_site import plate

from deploy import DEFAULT_MODEL, ROOT
from going_modular.app.model import PictureError, Predictor
from going_modular.app_process import run
from going_modular.big.features import FeatureStore, weights_fingerprint
from going_modular.big.food101 import Tree, choose_photos
from going_modular.files import LessonError
from going_modular.model_builder import build_effnet_lite2
from going_modular.stored_features import Extractor

ANSWER = ["class", "probability", "knn_similarity", "in_distribution_score", "verdict"]
BATCH = "deploy.ray.batch"


@pytest.fixture(scope="module", autouse=True)
def network():
    with targets.own_network() as number:
        targets.need("ray", number)
        yield number


@pytest.fixture(scope="module")
def start():
    """Runs a module with Ray, without what Ray or another test may have set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "PYTHON"))}
    with targets.rays_home() as home:

        def start(*words: object, **settings: str) -> str:
            how = {"env": kept | home | settings, "timeout": 300, "cwd": ROOT}
            return run(sys.executable, "-Bm", *words, **how)

        yield start


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Pictures in folders, one of them unlike food, and four files that are broken."""
    folder = tmp_path_factory.mktemp("pictures")
    _, photos = targets.draw_photos(folder, each=6)  # and a list of them
    odd, whole = folder / "ein Käse, 50% off", photos[0].read_bytes()
    odd.mkdir()
    (odd / 'blue "sky".png').write_bytes(plate(BLUE, "PNG"))
    (odd / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "unreadable.jpg").symlink_to("/proc/self/mem")
    (folder / ".DS_Store").write_bytes(b"x")
    return folder


def check_table(table: pd.DataFrame, folder: Path, model: Path) -> None:
    predictor = Predictor(model, threads=1)
    assert table.columns.tolist() == ["file", *ANSWER, "error"]
    files = [path for path in folder.rglob("[!.]*") if path.is_file()]
    assert table["file"].tolist() == sorted(str(f.relative_to(folder)) for f in files)
    for row in table.to_dict("records"):
        found = [row[key] for key in ANSWER]
        try:
            wanted = expected(predictor, (folder / row["file"]).read_bytes(), near=1e-6)
        except (PictureError, OSError) as error:
            ours = isinstance(error, PictureError)
            assert (str(error) if ours else "Input/output error") in row["error"]
            assert pd.isna(found).all()
        else:
            assert pd.isna(row["error"]) and found == [wanted[key] for key in ANSWER]


def test_a_folder_becomes_a_csv(start, network, folder, tmp_path):
    file = tmp_path / "answers.csv"
    said = start(BATCH, folder, file)
    assert "23 files, 2 workers" in said and "4 of them have no answer" in said
    assert_all_stopped(network)
    assert os.listdir(tmp_path) == [file.name]
    check_table(pd.read_csv(file), folder, DEFAULT_MODEL)


def test_on_a_cluster_one_setting_changes(start, network, folder, tmp_path):
    """Two of Ray's nodes, one core each; the model is another one."""
    model, file = make_model(tmp_path / "model.onnx"), tmp_path / "answers.parquet"

    def ray(*arguments: str, tries: int = 3) -> None:
        try:
            start("ray.scripts.scripts", *arguments, RAY_AUTH_MODE="token")
        except LessonError as error:  # Ray's own limit is short for a busy computer
            if tries == 1 or "timed out during startup" not in str(error):
                raise
            start("ray.scripts.scripts", "stop", "--force")
            ray(*arguments, tries=tries - 1)

    try:
        ray("start", "--head", "--num-cpus=1", "--include-dashboard=false")
        words, cluster = (folder, file, "--model", model), {"RAY_ADDRESS": "auto"}
        hasty = cluster | {"RAY_DATA_DEFAULT_WAIT_FOR_MIN_ACTORS_S": "10"}
        with pytest.raises(LessonError, match="no room for 2 workers"):
            start(BATCH, *words, **hasty)
        assert not file.exists()
        ray("start", "--address=127.0.0.1:6379", "--num-cpus=1")
        assert "23 files, 2 workers" in start(BATCH, *words, **cluster)
        nodes = [line for line in left_over(network).values() if "raylet" in line]
        assert len(nodes) >= 2, "the cluster is not ours to stop"
    finally:
        for process in left_over(network):  # "ray stop" would stop others' Ray too
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    assert_all_stopped(network)
    check_table(pd.read_parquet(file), folder, model)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Tree:
    """A small tree, with one photo that is broken."""
    folder = tmp_path_factory.mktemp("data") / "dishes"
    tree = Tree(write_dishes(folder, {"train": 8, "test": 8}, dishes=3), True)
    choose_photos(tree, share=0.5).train[7][0].write_bytes(b"not a photo")
    return tree


def test_workers_make_the_lessons_features(start, network, data, tmp_path):
    words = "effnet_lite2", data.folder, "--share", 0.5, "--input-size", 64
    assert "24 photos, 24 made now" in start("deploy.ray.features", *words)
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
        tensors = got.features.tensors, wanted.features.tensors
        torch.testing.assert_close(*tensors, atol=1e-4, rtol=1e-4)
    assert "24 photos, 0 made now" in start("deploy.ray.features", *words)


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
