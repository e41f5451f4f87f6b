"""FoodVision Big, whole: from a tree like Food-101 to an app that knows 101 dishes."""

import copy

import pytest
import requests
import torch
from demo_model_fixture import ABOUT
from plain_dishes import write_dishes
from torch.utils.data import DataLoader

from going_modular.app.model import ModelMetadata, Predictor
from going_modular.app_process import ask_demo, run_demo
from going_modular.big.features import (
    Extractor,
    FeatureStore,
    seconds_a_photo,
    weights_fingerprint,
)
from going_modular.big.food101 import choose_photos, find_tree, spoken
from going_modular.big.many_classes import score_features, top_k_right
from going_modular.datasets import DataError, load_picture
from going_modular.demo_folder import COPIED, WRITTEN, copy_app, write_readme
from going_modular.engine import (
    Settings,
    evaluate,
    feature_loader,
    fresh_copy,
    store_features,
    train,
)
from going_modular.export import Deployable, export_onnx, made_with, ship
from going_modular.gate import make_gate, sample_references
from going_modular.model_builder import build_effnet_lite2, with_classes
from going_modular.predictions import answer_all, compare_answers
from going_modular.quantize import quantize

pytestmark = pytest.mark.slow

SIZE = 96  # pixels: quick; the lesson uses more


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dishes(folder, {"train": 10, "test": 5}, dishes=101)
    part = choose_photos(find_tree(str(folder), folder), share=0.4)
    part.train[7][0].write_bytes(part.train[7][0].read_bytes()[:300])  # torn
    return part


@pytest.fixture(scope="module")
def built():
    torch.set_num_threads(1)  # a busy machine does not slow one thread down as much
    torch.manual_seed(0)
    return with_classes(build_effnet_lite2(3, input_size=SIZE), 101)


@pytest.fixture(scope="module")
def extract(built):
    return Extractor(built, batch_size=8)


@pytest.fixture(scope="module")
def stored(part, built, extract, tmp_path_factory):
    """Features of both halves, through the files."""
    folder, halves = tmp_path_factory.mktemp("features"), []
    for samples in (part.train, part.test):
        network = weights_fingerprint(built)
        store = FeatureStore(folder, samples, network=network, width=1280)
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


def test_features_are_those_of_section_2(built, part, extract):
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


def test_any_change_of_weights_or_preparation_is_another_network(built):
    same = weights_fingerprint(built)
    assert same == weights_fingerprint(copy.deepcopy(built))
    assert same != weights_fingerprint(build_effnet_lite2(101, input_size=SIZE + 32))
    other = copy.deepcopy(built)
    next(other.model.base.parameters()).data[0, 0, 0, 0] += 1e-3
    assert same != weights_fingerprint(other)
    scaled = copy.deepcopy(built)
    scaled.preprocess.scale *= 2
    assert same != weights_fingerprint(scaled)
    headless = copy.deepcopy(built)
    headless.model.head[1].weight.data += 1
    assert same == weights_fingerprint(headless), "features do not depend on the head"


def test_a_photo_that_is_gone_stops_the_run(extract, part, tmp_path):
    with pytest.raises(DataError, match="gone.jpg"):
        extract([part.test[0][0], tmp_path / "gone.jpg"])


def test_the_cost_of_a_photo_is_measured_on_photos(extract, part):
    assert seconds_a_photo(extract, [file for file, _ in part.test[:3]]) > 0


# The folder


@pytest.fixture(scope="module")
def shipped(trained, stored, part, demo_texts, tmp_path_factory):
    """FoodVision Mini's folder, with Big's file in it."""
    folder = tmp_path_factory.mktemp("demo") / "foodvision_big"
    copy_app(demo_texts, folder, [*COPIED, *WRITTEN])
    train_half, test_half = stored
    rows, labels = train_half.features.tensors
    logits = score_features(trained.model.cpu().head, rows)
    carried = sample_references(labels, per_class=2)
    gate, thresholds = make_gate(rows, labels, logits, carried=carried)
    deployable = Deployable(trained.preprocess, trained.model, gate)
    score = evaluate(trained.model.head, feature_loader(test_half.features))
    about = ModelMetadata(
        name="foodvision_big",
        title="FoodVision Big",
        class_names=spoken(part.class_names),
        knn_similarity_threshold=thresholds.knn_similarity,
        in_distribution_threshold=thresholds.in_distribution_score,
        temperature=1.0,
        calibration=ABOUT.calibration,
        gate=ABOUT.gate | {"near": {}, "auroc": None},
        reference_counts=labels[carried].bincount().tolist(),
        contender="EffNet-Lite2",
        input_size=SIZE,
        precision="fp32",
        trained_on=f"{len(train_half.features)} photos of 101 dishes",
        is_practice=False,
        test_result={"correct": score.right, "total": score.total},
        made_with=made_with(),
    )
    write_readme(about, folder)
    fp32 = export_onnx(deployable, folder.parent / "fp32.onnx", about=about)
    some = [file for file, _ in train_half.samples[::8]]
    int8 = quantize(fp32, folder.parent / "int8.onnx", calibrate_on=some)
    ship(int8, folder / "foodvision_big.onnx")
    return folder, deployable, fp32, score


def test_stored_features_and_the_file_count_alike(shipped, stored, trained, part):
    _, deployable, fp32, score = shipped
    features, labels = stored[1].features.tensors
    logits = score_features(trained.model.head, features)
    assert top_k_right(logits, labels, 1) == score.right > 101
    names = spoken(part.class_names)
    said = answer_all(fp32, [file for file, _ in part.test])
    probabilities = torch.tensor([[a.probabilities[n] for n in names] for a in said])
    assert probabilities.shape == (202, 101)
    assert torch.allclose(probabilities, logits.softmax(dim=1), atol=1e-4)
    answers = compare_answers(deployable, fp32, part.test[:10])
    assert answers.same_class.all() and answers.difference.max() < 1e-4


def test_the_app_answers_with_101_names(shipped, part):
    folder = shipped[0]
    model = Predictor(folder / "foodvision_big.onnx")
    names = model.about.class_names
    assert len(set(names)) == 101 and "grilled cheese sandwich" in names
    with run_demo(folder) as running:
        page = requests.get(running.url, timeout=60).text
        assert "FoodVision Big" in page and "FoodVision Mini" not in page
        for file, _ in part.test[98:102]:
            scores, note = ask_demo(running.url, file)
            expected, _ = model.predict(file).best
            assert scores["label"] == expected and expected in note
            assert len(scores["confidences"]) == 5 and "_" not in note
    readme = (folder / "README.md").read_text("utf-8")
    assert f"It knows 101 dishes: **{', '.join(names)}**." in readme


def test_the_file_stays_small(shipped):
    assert (shipped[0] / "foodvision_big.onnx").stat().st_size < 10_000_000
