"""FoodVision Big, whole: from a tree like Food-101 to an app that knows 101 dishes."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import requests
import torch
from demo_model_fixture import ABOUT
from plain_dishes import write_dishes
from torch.utils.data import DataLoader

from going_modular.app.model import Predictor
from going_modular.app_process import ask_demo, run_demo
from going_modular.big.dishes import find_dishes
from going_modular.big.features import seconds_a_photo, weights_fingerprint
from going_modular.big.food101 import choose_photos, find_tree
from going_modular.big.many_classes import score_features, top_k_right
from going_modular.companion import train_head
from going_modular.datasets import DataError, load_picture
from going_modular.demo_folder import APP, COPIED, WRITTEN, copy_app, write_readme
from going_modular.engine import store_features
from going_modular.export import export_onnx, make_deployable, ship
from going_modular.gate import sample_references
from going_modular.model_builder import build_effnet_lite2, with_classes
from going_modular.predictions import answer_all
from going_modular.quantize import quantize
from going_modular.stored_features import Extractor

pytestmark = pytest.mark.slow

SIZE = 96  # pixels: quick; the lesson uses more
TORN = 7


@pytest.fixture(scope="module")
def built():
    torch.set_num_threads(1)  # a busy machine does not slow one thread down as much
    torch.manual_seed(0)
    return with_classes(build_effnet_lite2(3, input_size=SIZE), 101)


@pytest.fixture(scope="module")
def dishes(built, tmp_path_factory):
    """Of a tree of 101 dishes; one photo that is chosen of it is torn."""
    folder = tmp_path_factory.mktemp("data")
    write_dishes(folder / "dishes", {"train": 4, "test": 2}, dishes=101)
    torn, _ = choose_photos(find_tree(str(folder), folder), share=1).train[TORN]
    torn.write_bytes(torn.read_bytes()[:300])
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("FOODVISION_BIG", str(folder))
        found = find_dishes(built, "big", folder / "data", share=1)
    assert list(found.skipped) == [f"{torn.parent.name}/{torn.name}"]
    assert (len(found.train), len(found.test)) == (403, 202)
    assert torn not in found.photos["train"] and len(found.photos["train"]) == 403
    return found


def test_features_are_those_of_section_2_and_of_this_network(built, dishes, tmp_path):
    files, extract = dishes.photos["test"][:12], Extractor(built, batch_size=8)
    pictures = [(built.transform(load_picture(file)), 0) for file in files]
    expected = store_features(built.model.base, DataLoader(pictures, batch_size=5))
    features, reasons = extract(files)
    assert reasons == {}
    torch.testing.assert_close(
        torch.from_numpy(features), expected.tensors[0], atol=1e-4, rtol=1e-3
    )
    assert torch.equal(dishes.test.tensors[0][:8], torch.from_numpy(features[:8]))
    extract.decoders = 2  # as for a GPU
    assert np.array_equal(extract(files)[0], features)
    other = replace(built, transform=lambda picture: built.transform(picture))
    assert np.array_equal(Extractor(other)(files)[0], features)
    with pytest.raises(DataError, match="gone.jpg"):
        extract([files[0], tmp_path / "gone.jpg"])
    assert seconds_a_photo(extract, files[:3]) > 0
    other, scaled, headless = (copy.deepcopy(built) for _ in range(3))
    next(other.model.base.parameters()).data[0, 0, 0, 0] += 1e-3
    scaled.preprocess.scale *= 2
    headless.model.head[1].weight.data += 1  # features do not depend on the head
    same = weights_fingerprint(built)
    assert weights_fingerprint(headless) == same
    assert same not in map(weights_fingerprint, (other, scaled))


def test_the_app_answers_with_101_names_as_stored_features_do(built, dishes, tmp_path):
    train_head(built, dishes)
    logits = score_features(built.model.head, dishes.test.tensors[0])
    assert top_k_right(logits, dishes.test.tensors[1], 1) > 101
    carried = sample_references(dishes.train.tensors[1], per_class=2)
    deployable, facts = make_deployable(built, dishes.train, carried=carried)
    big = {"name": "foodvision_big", "title": "FoodVision Big", "input_size": SIZE}
    about = replace(ABOUT, class_names=dishes.names, **big, **facts)
    fp32 = export_onnx(deployable, tmp_path / "fp32.onnx", about=about)
    answers = answer_all(fp32, dishes.photos["test"])
    found = [[a.probabilities[name] for name in dishes.names] for a in answers]
    with torch.inference_mode():
        expected = deployable.answer(dishes.test.tensors[0])[0].numpy()
    assert np.array(found) == pytest.approx(expected, abs=1e-4)

    folder = copy_app(APP, tmp_path / "foodvision_big", [*COPIED, *WRITTEN])
    some = dishes.photos["train"][::8]
    int8 = quantize(fp32, tmp_path / "int8.onnx", calibrate_on=some)
    file = ship(int8, folder / "foodvision_big.onnx")
    assert file.stat().st_size < 10_000_000
    model = Predictor(file)
    readme = write_readme(model.about, folder).read_text("utf-8")
    names = model.about.class_names
    assert len(set(names)) == 101 and "grilled cheese sandwich" in names
    assert f"It knows 101 dishes: **{', '.join(names)}**." in readme
    with run_demo(folder) as running:
        page = requests.get(running.url, timeout=60).text
        assert "FoodVision Big" in page and "FoodVision Mini" not in page
        for photo in dishes.photos["test"][98:102]:
            scores, note = ask_demo(running.url, photo)
            expected, _ = model.predict(photo).best
            assert scores["label"] == expected and expected in note
            assert len(scores["confidences"]) == 5 and "_" not in note
