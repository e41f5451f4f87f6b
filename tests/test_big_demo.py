"""FoodVision Big, whole: from a miniature Food-101 to an app that knows 101 dishes."""

import copy
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from extractor_fixture import make_extractor
from torch.utils.data import DataLoader

from going_modular import extractor
from going_modular.datasets import PicturesError, load_picture
from going_modular.demo_copies import TEXTS, write_big_demo
from going_modular.engine import (
    Settings,
    evaluate,
    feature_loader,
    fresh_copy,
    store_features,
    train,
)
from going_modular.evaluation import score_features, top_k_right
from going_modular.export import Deployable, describe_run, export_onnx, ship
from going_modular.extractor import (
    OnnxExtractor,
    export_extractor,
    network_of,
    seconds_a_photo,
)
from going_modular.feature_store import FeatureStore
from going_modular.food101 import choose_photos, spoken
from going_modular.known_features import choose_known, threshold_from
from going_modular.model_builder import build_effnet_lite2, with_classes
from going_modular.packaging import DeployError, folder_files
from going_modular.practice_food101 import draw_food101
from going_modular.quantize import quantize
from going_modular.running import ask_demo, run_demo
from going_modular.runtime import OnnxModel, answer_all, compare_answers

ROOT = Path(__file__).resolve().parents[1]
MINI = ROOT / "demos" / "foodvision_mini"
SIZE = 96  # pixels: quick; the lesson uses more


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    data = draw_food101(tmp_path_factory.mktemp("data"))
    part = choose_photos(data, share=0.4)
    part.train[7][0].write_bytes(part.train[7][0].read_bytes()[:300])  # torn
    return part


@pytest.fixture(scope="module")
def built():
    torch.set_num_threads(1)  # a busy machine does not slow one thread down as much
    torch.manual_seed(0)
    return with_classes(build_effnet_lite2(3, input_size=SIZE), 101)


@pytest.fixture(scope="module")
def extract(built, tmp_path_factory):
    file = tmp_path_factory.mktemp("models") / "extractor.onnx"
    return OnnxExtractor(export_extractor(built, file), threads=2)


@pytest.fixture(scope="module")
def stored(part, extract, tmp_path_factory):
    """Features of both halves, through the shards."""
    folder, halves = tmp_path_factory.mktemp("features"), []
    for samples in (part.train, part.test):
        store = FeatureStore(folder, samples, network=extract.network)
        store.fill(extract)
        halves.append(store.read())
    return halves


@pytest.fixture(scope="module")
def trained(built, stored):
    torch.manual_seed(0)
    built.model.head = fresh_copy(built.model.head)
    settings = Settings(lr=3e-3, epochs=30, label_smoothing=0.1)
    loader = feature_loader(stored[0].features, seed=0)
    train(built.model.head, loader, settings=settings)
    return built


# Features


def test_features_are_those_of_pytorch(built, part, extract):
    samples = part.test[:12]
    pictures = [(built.transform(load_picture(file)), n) for file, n in samples]
    expected = store_features(built.model.base, DataLoader(pictures, batch_size=5))
    features, reasons = extract([file for file, _ in samples])
    assert reasons == {}
    torch.testing.assert_close(
        torch.from_numpy(features), expected.tensors[0], atol=1e-4, rtol=1e-3
    )


def test_the_torn_photo_is_skipped_by_name_and_counted(part, stored):
    train_half, test_half = stored
    torn = part.train[7][0]
    assert list(train_half.skipped) == [f"{torn.parent.name}/{torn.name}"]
    assert len(train_half.features) == len(part.train) - 1 == 403
    assert test_half.skipped == {} and len(test_half.features) == 202


def test_an_extractor_is_exported_once_for_a_network(built, tmp_path, monkeypatch):
    exported = []

    def export(module, file, *, metadata):
        exported.append(module.outputs)
        return make_extractor(file, **metadata)

    monkeypatch.setattr(extractor, "export_onnx", export)
    file = tmp_path / "extractor.onnx"
    for content in (None, b"torn", make_extractor(file, "another").read_bytes()):
        file.write_bytes(content) if content else file.unlink()
        exported.clear()
        export_extractor(built, file)
        export_extractor(built, file)
        assert exported == [("features",)]
        assert OnnxExtractor(file).network == network_of(built)


def test_any_change_of_weights_or_preparation_is_another_network(built):
    same = network_of(built)
    assert same == network_of(copy.deepcopy(built))
    assert same != network_of(build_effnet_lite2(101, input_size=SIZE + 32))
    other = copy.deepcopy(built)
    next(other.model.base.parameters()).data[0, 0, 0, 0] += 1e-3
    assert same != network_of(other)
    scaled = copy.deepcopy(built)
    scaled.preprocess.scale *= 2
    assert same != network_of(scaled)
    headless = copy.deepcopy(built)
    headless.model.head[1].weight.data += 1
    assert same == network_of(headless), "features do not depend on the head"


def test_a_photo_that_is_gone_stops_the_run(extract, part, tmp_path):
    with pytest.raises(PicturesError, match="gone.jpg"):
        extract([part.test[0][0], tmp_path / "gone.jpg"])


def test_the_cost_of_a_photo_is_measured_on_photos(extract, part):
    assert seconds_a_photo(extract, [file for file, _ in part.test[:3]]) > 0


# The folder


@pytest.fixture(scope="module")
def shipped(trained, stored, part, tmp_path_factory):
    """The app's folder with its int8 file, made by what made FoodVision Mini."""
    folder = write_big_demo(MINI, tmp_path_factory.mktemp("demo") / "foodvision_big")
    train_half, test_half = stored
    known, others = choose_known(*train_half.features.tensors, per_class=2)
    deployable = Deployable(trained.preprocess, trained.model.cpu(), known)
    score = evaluate(trained.model.head, feature_loader(test_half.features))
    about = describe_run(
        class_names=spoken(part.class_names),
        threshold=threshold_from(others, known),
        contender="EffNet-Lite2",
        preprocess=trained.preprocess,
        trained_on=f"{len(train_half.features)} photos of 101 dishes",
        is_practice=False,
        right=score.right,
        total=score.total,
    )
    fp32 = export_onnx(deployable, folder.parent / "fp32.onnx", metadata=about)
    some = [file for file, _ in train_half.samples[::8]]
    int8 = quantize(fp32, folder.parent / "int8.onnx", calibrate_on=some)
    ship(int8, folder / "foodvision_big.onnx", precision="int8")
    return folder, deployable, fp32, score


def test_stored_features_and_the_file_count_alike(shipped, stored, trained, part):
    _, deployable, fp32, score = shipped
    features, labels = stored[1].features.tensors
    logits = score_features(trained.model.head, features)
    assert top_k_right(logits, labels, 1) == score.right > 101
    probabilities, likeness = answer_all(fp32, [file for file, _ in part.test])
    assert torch.allclose(probabilities, logits.softmax(dim=1), atol=1e-4)
    assert likeness.shape == (202,)
    answers = compare_answers(deployable, fp32, part.test[:10])
    assert answers.same_class.all() and answers.difference.max() < 1e-4


def test_the_app_answers_with_101_names(shipped, part):
    folder = shipped[0]
    model = OnnxModel(folder / "foodvision_big.onnx")
    names = json.loads(model.metadata["class_names"])
    assert len(set(names)) == 101 and "grilled cheese sandwich" in names
    with run_demo(folder) as running:
        for file, _ in part.test[98:102]:
            scores, note = ask_demo(running.url, file)
            probabilities, _ = model(file)
            expected = names[probabilities.argmax()]
            assert scores["label"] == expected and expected in note
            assert len(scores["confidences"]) == 5 and "_" not in note
            if note.startswith("This does not"):
                assert "any of the 101 foods it knows" in note


def test_the_file_stays_small(shipped):
    assert (shipped[0] / "foodvision_big.onnx").stat().st_size < 10_000_000


# Its texts


def test_texts_are_those_of_mini_under_another_name(tmp_path):
    written = write_big_demo(MINI, tmp_path / "foodvision_big")
    for name in TEXTS:
        ours, theirs = (folder / name for folder in (written, MINI))
        renamed = theirs.read_text("utf-8").replace("FoodVision Mini", "FoodVision Big")
        renamed = renamed.replace("foodvision_mini", "foodvision_big")
        assert (ours.read_text("utf-8") == renamed) == (name != "README.md"), name
        assert b"_mini" not in ours.read_bytes() and b" Mini" not in ours.read_bytes()
    text = (written / "README.md").read_text("utf-8")
    assert "**101 dishes**" in text and "sushi" not in text


def test_every_text_of_mini_is_taken():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=MINI, check=True, capture_output=True, text=True
    )
    assert sorted(TEXTS) == sorted(tracked.stdout.split())


def test_what_is_no_text_stays(tmp_path):
    folder = tmp_path / "foodvision_big"
    (folder / "examples").mkdir(parents=True)
    (folder / "foodvision_big.onnx").write_bytes(b"a model")
    (folder / "examples" / "a.jpg").write_bytes(b"a photo")
    (folder / "app.py").write_text("old")
    write_big_demo(MINI, folder)
    kept = {"foodvision_big.onnx", "examples/a.jpg"}
    assert set(folder_files(folder)) == {*TEXTS, *kept}
    assert (folder / "foodvision_big.onnx").read_bytes() == b"a model"
    assert "FoodVision Big" in (folder / "app.py").read_text("utf-8")


def test_an_incomplete_or_changed_mini_is_said(tmp_path):
    mini = tmp_path / "mini"
    shutil.copytree(MINI, mini, ignore=shutil.ignore_patterns("*.onnx", "examples"))
    readme = mini / "README.md"
    readme.write_text(readme.read_text("utf-8").replace("pizza", "salad"), "utf-8")
    with pytest.raises(DeployError, match="no longer says"):
        write_big_demo(mini, tmp_path / "big")
    readme.unlink()
    with pytest.raises(DeployError, match="lacks README.md"):
        write_big_demo(mini, tmp_path / "big")
    assert not (tmp_path / "big").exists()
