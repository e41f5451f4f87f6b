"""Training a head: what must not change, be counted, repeat; and what bases are."""

import copy
import hashlib
import io
import pickle
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from drawn_images import drawn_image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset, TensorDataset

from going_modular import engine, model_builder
from going_modular.engine import Settings, cross_validate, feature_loader, train
from going_modular.files import FileError, LessonError
from going_modular.model_builder import Contender, Preprocess, load_weights

QUICK = Settings(lr=1e-2, epochs=3, batch_size=5)


@pytest.fixture
def clouds():
    """Three clouds of points with some overlap: features (23, 6) and labels (23,)."""
    torch.manual_seed(0)
    labels = torch.arange(23) % 3
    return TensorDataset(torch.randn(3, 6)[labels] + torch.randn(23, 6), labels)


def unchanged(module, before):
    after = module.state_dict()
    return {name for name in before if torch.equal(before[name], after[name])}


def test_training_on_pictures_leaves_every_bit_of_the_base_as_it_was(lite2, plates):
    model = copy.deepcopy(lite2.model)
    base, head = lite2.model.base.state_dict(), lite2.model.head.state_dict()
    assert any("running_mean" in name for name in base), "there is BatchNorm to watch"
    loader = DataLoader(Subset(plates, range(12)), batch_size=4)
    train(model, loader, settings=Settings(lr=1e-2, epochs=1))
    assert unchanged(model.base, base) == set(base)
    assert unchanged(model.head, head) == set(), "the head is what learns"


def test_pictures_are_pooled_where_batches_are_unequal():
    logits = 2 * torch.randn(7, 3)
    labels = logits.argmax(dim=1)
    labels[5:] = (labels[5:] + 1) % 3  # the last two are wrong
    pictures = DataLoader(TensorDataset(logits, labels), batch_size=3)
    score = engine.evaluate(nn.Identity(), pictures)
    assert (score.right, score.total) == (5, 7)
    assert score.loss == pytest.approx(F.cross_entropy(logits, labels).item())


def test_stored_features_come_in_order_or_shuffled_by_the_seed():
    features = TensorDataset(torch.arange(23.0).unsqueeze(1), torch.arange(23))

    def order(loader):
        batches = list(loader)
        assert [len(labels) for _, labels in batches] == [5, 5, 5, 5, 3]
        inputs, labels = map(torch.cat, zip(*batches, strict=True))
        assert torch.equal(inputs[:, 0].long(), labels)
        return labels.tolist()

    seeds = (None, 1, 1, 2)
    loaders = [feature_loader(features, batch_size=5, seed=seed) for seed in seeds]
    stored, first, again, other = map(order, loaders)
    assert stored == sorted(first) == list(range(23))
    assert again == first != other
    assert order(loaders[1]) != first, "every epoch has an order of its own"


def test_label_smoothing_spreads_a_share_of_every_label_in_training_alone(clouds):
    head, (features, labels) = nn.Linear(6, 3), clouds.tensors
    plain = F.cross_entropy(head(features), labels).item()
    smoothed = F.cross_entropy(head(features), labels, label_smoothing=0.1).item()
    settings = Settings(lr=0, epochs=1, label_smoothing=0.1)
    loader = feature_loader(clouds, batch_size=7)
    (epoch,) = train(head, loader, settings=settings, val_loader=loader)
    assert epoch.train.loss == pytest.approx(smoothed, rel=1e-5)
    assert epoch.val.loss == pytest.approx(plain, rel=1e-5) != smoothed


@pytest.mark.parametrize(("count", "extras"), [(23, ()), (4, ()), (11, (100, 200))])
def test_each_picture_is_checked_once_by_a_new_head(count, extras, monkeypatch):
    spy = Mock(wraps=engine.train)
    monkeypatch.setattr(engine, "train", spy)
    numbers, labels = torch.arange(float(count)).unsqueeze(1), torch.arange(count) % 3
    copies = [TensorDataset(numbers + extra, labels) for extra in extras]
    options = {"settings": Settings(epochs=2, batch_size=4), "copies": copies}
    head, pictures = nn.Linear(1, 3), TensorDataset(numbers, labels)
    trial = cross_validate(head, pictures, **options)
    checked, folds = [], min(engine.FOLDS, count)
    for call in spy.call_args_list:
        assert call.args[0] is not head, "copies of the head train"
        seen, held_out = call.args[1].dataset, call.kwargs["val_loader"].dataset
        checked += held_out.tensors[0][:, 0].tolist()
        rest = {*range(count)} - {*held_out.tensors[0][:, 0].tolist()}
        expected = [number + extra for number in rest for extra in (0, *extras)]
        assert sorted(seen.tensors[0][:, 0].tolist()) == sorted(expected)
    assert spy.call_count == folds and sorted(checked) == [*range(count)]
    trained_on = count * (folds - 1) * (1 + len(extras))
    totals = [(epoch.train.total, epoch.val.total) for epoch in trial.history]
    assert totals == [(trained_on, count)] * 2
    for call in spy.call_args_list:  # each picture's logits are its own fold's
        rows = call.kwargs["val_loader"].dataset.tensors[0]
        own = trial.logits[rows[:, 0].long()]
        torch.testing.assert_close(own, call.args[0](rows).detach())


def test_cross_validation_repeats_whatever_its_head_has_learned(clouds):
    head = model_builder.make_head(6, 3)
    first = cross_validate(head, clouds, settings=QUICK)
    train(head, feature_loader(clouds, seed=1), settings=QUICK)
    learned = copy.deepcopy(head.state_dict())
    torch.manual_seed(99)
    again = cross_validate(head, clouds, settings=QUICK)
    assert again.history == first.history and torch.equal(again.logits, first.logits)
    assert unchanged(head, learned) == set(learned)
    other = cross_validate(head, clouds, settings=QUICK, seed=1)
    assert other.history != first.history


@pytest.mark.parametrize("name", ["build_effnet_lite2", "build_effnet_lite0"])
def test_lite_networks_know_pictures_and_take_any_input_size(name, plates):
    built = getattr(model_builder, name)(3, input_size=96)
    assert built.pretrained and built.transform is built.preprocess
    assert built.preprocess.size == 96
    assert built.model.head[-1].weight.shape == (3, 1280)
    pictures, labels = plates.tensors  # cut for Lite2, a trifle less at the edges
    features = F.normalize(engine.features_of(built.model.base, pictures), dim=1)
    # With weights in the wrong order they could not tell dishes apart.
    nearest = (features @ features.T).fill_diagonal_(-1).argmax(dim=1)
    assert (labels[nearest] == labels).float().mean() > 0.75


@pytest.mark.parametrize("name", ["EFFNETB2_WEIGHTS", "VIT_WEIGHTS"])
def test_preprocess_is_the_preset_where_both_cut_at_whole_pixels(name):
    preset = getattr(model_builder, name).transforms()
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


class Touches(str):
    """Makes a file at this path when unpickled, as a stand-in for worse."""

    def __reduce__(self):
        return Path.touch, (Path(self),)


def published(site, body, *, claimed=None):
    """Under the hash that they have or claim to have."""
    digest = hashlib.sha256(claimed or body).hexdigest()
    return SimpleNamespace(url=site.put(f"/tiny_net-{digest[:8]}.pth", body))


def test_weights_are_fetched_once_checked_and_kept(site, tmp_path, monkeypatch):
    network = nn.Linear(4, 2)
    torch.save(network.state_dict(), stream := io.BytesIO())
    body, torn = stream.getvalue(), stream.getvalue()[:-100]
    weights = published(site, torn, claimed=body)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    file = model_builder.weights_file(weights)

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
    file.write_bytes(torn)  # as another program might leave it
    with pytest.raises(FileError, match=f"{file} was .*has hash .*Delete it"):
        load("0")
    assert file.read_bytes() == torn, "never deleted silently"
    assert len(site.asked) == 2
    assert not Contender("B", "b", None).rehearses(), "weights come with a package"
    # Even a file with the right hash holds tensors or is refused: no code is run.
    body = pickle.dumps(Touches(tmp_path / "ran"), protocol=2)
    with pytest.raises(pickle.UnpicklingError):
        load_weights(nn.Linear(4, 2), published(site, body))
    assert not (tmp_path / "ran").exists()


def test_a_saved_model_comes_back_and_another_file_is_kept(tmp_path, monkeypatch):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    loaded, load = copy.deepcopy(model), model_builder.load_checkpoint
    file = tmp_path / "models/m.pth"
    nn.init.zeros_(loaded[0].weight)
    model_builder.save_checkpoint(loaded, file)
    model_builder.save_checkpoint(model, file)  # another replaces it
    assert load(loaded, file) is loaded
    torch.testing.assert_close(loaded.state_dict(), model.state_dict())
    before = file.read_bytes()
    with monkeypatch.context() as full_disk:
        full = RuntimeError("PytorchStreamWriter failed writing file data/0")
        full_disk.setattr(torch, "save", Mock(side_effect=full))
        with pytest.raises(FileError, match="m.pth could not be written.*Make room"):
            model_builder.save_checkpoint(loaded, file)
    for spoil in (
        Path.unlink,
        lambda file: file.write_bytes(before[:-20]),
        lambda file: file.write_bytes(b""),
        lambda file: torch.save(nn.Linear(4, 8).state_dict(), file),
        lambda file: torch.save(Touches(file.with_name("ran")), file),
    ):
        file.write_bytes(before)
        spoil(file)
        with pytest.raises(LessonError, match="m.pth does not hold this.*Delete it"):
            load(model, file)
        assert file.exists() is (spoil != Path.unlink), "never deleted silently"
        file.touch()
        assert list(file.parent.iterdir()) == [file], "no code has run"
    torch.save(Touches(file.with_name("ran")), file)
    torch.load(file, weights_only=False)  # the file with code is live: this does run it
    assert file.with_name("ran").exists()
