"""What the feature extractors are made of, where weights come from and are kept."""

import copy
import hashlib
import io
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from drawn_images import drawn_image
from torch import nn

from going_modular.engine import features_of
from going_modular.files import FileError, LessonError
from going_modular.model_builder import (
    CONTENDERS,
    EFFNETB2_WEIGHTS,
    VIT_WEIGHTS,
    Contender,
    Preprocess,
    build_effnet_lite0,
    build_effnet_lite2,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    weights_file,
)


@pytest.mark.parametrize(
    ("name", "size", "features", "parameters"),
    [  # features by the papers; parameters as the best-known chapter publishes them
        ("EffNetB2", 288, 1408, 7_705_221),
        ("ViT-B/16", 224, 768, 85_800_963),
    ],
)
def test_torchvision_contenders_have_their_published_shape(
    name, size, features, parameters, monkeypatch, tmp_path
):
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    contender = next(c for c in CONTENDERS if c.name == name)
    # Only shapes are asked for: the meta device spares filling 350 MB with noise.
    with torch.device("meta"):
        built = contender.build(3)
        pictures = torch.zeros(2, 3, size, size)
        assert built.model.base(pictures).shape == (2, features)
        assert built.model(pictures).shape == (2, 3)
    assert sum(weight.numel() for weight in built.model.parameters()) == parameters
    assert built.preprocess.size == size and not built.pretrained


@pytest.mark.parametrize("build", [build_effnet_lite2, build_effnet_lite0])
def test_lite_networks_know_pictures_and_take_any_input_size(build, plates):
    built = build(3, input_size=96)
    assert built.pretrained and built.transform is built.preprocess
    assert built.preprocess.size == 96
    assert built.model.head[-1].weight.shape == (3, 1280)
    pictures, labels = plates.tensors  # cut for Lite2, a trifle less at the edges
    features = nn.functional.normalize(features_of(built.model.base, pictures), dim=1)
    # With weights in the wrong order they could not tell dishes apart.
    nearest = (features @ features.T).fill_diagonal_(-1).argmax(dim=1)
    assert (labels[nearest] == labels).float().mean() > 0.75


@pytest.mark.parametrize("weights", [EFFNETB2_WEIGHTS, VIT_WEIGHTS])
def test_preprocess_is_the_preset_where_both_cut_at_whole_pixels(weights):
    preset = weights.transforms()
    picture = drawn_image("sushi", 3, size=(1024, 512))
    got, expected = Preprocess.like(preset)(picture), preset(picture)
    assert got.shape == expected.shape and got.dtype == torch.float32
    # Mean absolute difference, in standard deviations. Pillow rounds to whole grey
    # levels between its steps, and one level is about 0.017.
    assert (got - expected).abs().mean() < 0.017


@pytest.mark.parametrize("crop", [0.89, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (400, 1), (37, 53), (640, 480)])
def test_a_picture_and_its_pixels_come_out_alike(size, crop):
    preprocess = Preprocess(32, mean=[0.5] * 3, std=[0.5] * 3, crop=crop)
    picture = drawn_image("pizza", 0, size)
    got = preprocess(picture)
    assert torch.equal(got, preprocess(torch.from_numpy(np.array(picture))))
    assert got.shape == (3, 32, 32) and got.isfinite().all()


class Touches:
    """Makes a file when unpickled, as a stand-in for worse."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def publish(site, tmp_path, monkeypatch):
    """Puts weights on a local site, under the hash that they have or claim to have."""
    monkeypatch.setenv("FOODVISION_OFFLINE", "0")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def publish(body, *, claimed=None):
        digest = hashlib.sha256(claimed or body).hexdigest()
        return SimpleNamespace(url=site.put(f"/tiny_net-{digest[:8]}.pth", body))

    return publish


def test_weights_are_downloaded_once_checked_and_serve_without_internet(
    publish, site, monkeypatch
):
    network = nn.Linear(4, 2)
    torch.save(network.state_dict(), stream := io.BytesIO())
    body = stream.getvalue()
    torn = body[:-100]
    weights = publish(torn, claimed=body)
    file = weights_file(weights)

    def load(offline):
        monkeypatch.setenv("FOODVISION_OFFLINE", offline)
        base = nn.Linear(4, 2)
        loaded = load_weights(base, weights)
        assert torch.equal(base.weight, network.weight) is loaded
        assert Contender("A", "a", None, weights).rehearses() is not loaded
        return loaded

    assert load("1") is False and site.asked == [] and not file.parent.exists()
    with pytest.raises(FileError, match="has hash .*thrown away"):
        load("0")
    assert not list(file.parent.iterdir())
    site.put(f"/{file.name}", body)
    assert [load("0"), load("0"), load("1")] == [True] * 3
    assert list(file.parent.iterdir()) == [file] and file.read_bytes() == body
    asked = len(site.asked)
    file.write_bytes(torn)  # as another program might leave it
    with pytest.raises(FileError, match="has hash .*Delete it") as caught:
        load("0")
    assert str(file) in str(caught.value)
    assert file.read_bytes() == torn, "never deleted silently"
    assert asked == len(site.asked) == 2
    assert not Contender("B", "b", None).rehearses(), "weights come with a package"


def test_weights_are_read_without_running_code(publish, tmp_path):
    """Even a file with the right hash holds tensors or is refused."""
    body = pickle.dumps(Touches(tmp_path / "ran"), protocol=2)
    with pytest.raises(pickle.UnpicklingError):
        load_weights(nn.Linear(4, 2), publish(body))
    assert not (tmp_path / "ran").exists()
    pickle.loads(body)  # plain unpickling would have run it
    assert (tmp_path / "ran").exists()


@pytest.fixture
def saved(tmp_path):
    """A saved model: the model and its file."""
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    return model, save_checkpoint(model, tmp_path / "models" / "m.pth")


def test_a_saved_model_comes_back_and_another_replaces_it(saved, monkeypatch):
    first, file = saved
    second, loaded = copy.deepcopy(first), copy.deepcopy(first)
    nn.init.zeros_(second[0].weight)
    for model in (second, first):
        save_checkpoint(model, file)
        assert load_checkpoint(loaded, file) is loaded
        torch.testing.assert_close(loaded.state_dict(), model.state_dict())

    def fill_up(_, part):
        Path(part).write_bytes(b"half of it")
        raise RuntimeError("PytorchStreamWriter failed writing file data/0")

    before = file.read_bytes()
    monkeypatch.setattr(torch, "save", fill_up)
    with pytest.raises(FileError, match="m.pth could not be written.*Make room"):
        save_checkpoint(second, file)
    assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]


SPOILED = {
    "missing": Path.unlink,
    "torn": lambda file: file.write_bytes(file.read_bytes()[:-20]),
    "empty": lambda file: file.write_bytes(b""),
    "another's": lambda file: torch.save(nn.Linear(4, 8).state_dict(), file),
    "code": lambda file: torch.save(Touches(file.with_name("ran")), file),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_checkpoint_that_does_not_hold_the_model_is_named_and_kept(how, saved):
    model, file = saved
    SPOILED[how](file)
    with pytest.raises(LessonError, match="m.pth does not hold this model.*Delete it"):
        load_checkpoint(model, file)
    assert file.exists() is (how != "missing"), "never deleted silently"
    assert not file.with_name("ran").exists()
    if how == "code":  # the file is live: this does run it
        torch.load(file, weights_only=False)
        assert file.with_name("ran").exists()
