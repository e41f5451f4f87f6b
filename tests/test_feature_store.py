"""Stored features: whole or missing, never of something else, never computed twice."""

import os
import shutil
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from plain_dishes import plate

from going_modular import files
from going_modular.big import features as feature_store
from going_modular.big.features import FeatureStore, FeatureStoreError
from going_modular.files import FileError

CHUNK = 4
PHOTOS = 18  # four whole chunks and a short one


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(feature_store, "CHUNK", CHUNK)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(PHOTOS):
        (folder / f"dish_{number % 3}").mkdir(exist_ok=True)
        file = folder / f"dish_{number % 3}" / f"{number}.jpg"
        plate(number, 0).save(file)
    return [(file, int(file.parent.name[-1])) for file in sorted(folder.rglob("*.jpg"))]


class Colours:
    """A stand-in for a network: mean colours; counts what it is asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, photos):
        rows, reasons = [], {}
        for place, photo in enumerate(photos):
            self.asked.append(photo)
            try:
                rows.append(mean_colours(photo))
            except OSError as error:
                reasons[place] = str(error)
        return np.array(rows, np.float32), reasons


def mean_colours(photo):
    return np.asarray(Image.open(photo).convert("RGB"), np.float32).mean(axis=(0, 1))


def make_store(folder, samples, network="a network"):
    return FeatureStore(folder, samples, network=network, width=3)


@pytest.fixture
def full(samples, tmp_path):
    """A filled store."""
    store = make_store(tmp_path / "store", samples)
    fill(store)
    return store


def fill(store):
    """Fill a store; returns what calculated the features, to see what it was asked."""
    colours = Colours()
    store.fill(colours)
    return colours


def assert_holds(store, samples):
    """It gives the features of these photos, in order, and their labels."""
    stored = store.read()
    features, labels = stored.features.tensors
    expected = torch.tensor(np.array([mean_colours(file) for file, _ in samples]))
    assert features.dtype == torch.float32 and torch.equal(features, expected)
    assert labels.tolist() == [label for _, label in samples]
    assert stored.samples == samples


def test_everything_comes_back_in_order(full, samples):
    assert_holds(full, samples)
    assert full.read().skipped == {}
    assert os.listdir(full.file.parent) == [full.file.name]


# Interrupted


class Interrupted(Colours):
    """Somebody presses Stop after two chunks."""

    def __call__(self, photos):
        if len(self.asked) == 2 * CHUNK:
            raise KeyboardInterrupt
        return super().__call__(photos)


def test_an_interrupted_run_goes_on_where_it_was(samples, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make_store(tmp_path, samples).fill(Interrupted())
    store = make_store(tmp_path, samples)
    assert fill(store).asked == [file for file, _ in samples[2 * CHUNK :]]
    assert_holds(store, samples)


# Never the features of something else


@pytest.mark.parametrize(
    ("network", "photos"),
    [("a network", PHOTOS), ("another", PHOTOS), ("a network", PHOTOS - 1)],
    ids=["the same", "another network", "fewer photos"],
)
def test_only_the_same_photos_and_network_are_not_asked_again(
    network, photos, full, samples, capsys
):
    store = make_store(full.file.parent, samples[:photos], network)
    capsys.readouterr()
    colours = fill(store)
    is_same = (network, photos) == ("a network", PHOTOS)
    assert (store.file == full.file) == is_same
    assert colours.asked == ([] if is_same else [file for file, _ in samples[:photos]])
    assert_holds(store, samples[:photos])
    assert full.missing() == [], "and what was there is kept"
    last = capsys.readouterr().out.split("\r")[-1]
    assert "100%" in last and f"{photos}/{photos}" in last


def test_a_file_of_another_width_under_this_name_is_not_taken(full, samples):
    wider = FeatureStore(full.file.parent, samples, network="a network", width=5)
    assert wider.file != full.file
    shutil.copyfile(full.file, wider.file)
    assert len(wider.missing()) == PHOTOS


def test_a_moved_data_set_keeps_its_features(full, copied):
    assert make_store(full.file.parent, copied).missing() == []


@pytest.mark.parametrize("damage", ["empty", "half", "zeros", "text", "one bit"])
def test_what_is_damaged_is_made_again_and_nothing_else(damage, full, samples):
    content = full.file.read_bytes()
    half = len(content) // 2
    damaged, kept = {
        "empty": (b"", 0),
        "half": (content[:half], 3),
        "zeros": (content[:half] + bytes(len(content) - half), 3),
        "text": (b"my shopping list", 0),
        "one bit": (content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], PHOTOS - 1),
    }[damage]
    full.file.write_bytes(damaged)
    with pytest.raises(FeatureStoreError, match="again: it makes what is missing"):
        make_store(full.file.parent, samples).read()
    assert fill(full).asked == [file for file, _ in samples[kept:]]
    assert_holds(full, samples)


# Photos that cannot be opened


@pytest.fixture
def copied(samples, tmp_path):
    """The same photos, in a folder of this test's own."""
    root = samples[0][0].parents[1]
    shutil.copytree(root, tmp_path / "copy")
    return [(tmp_path / "copy" / file.relative_to(root), n) for file, n in samples]


@pytest.fixture
def with_broken(copied):
    copied[5][0].write_bytes(b"not a photo")
    return copied


def test_a_broken_photo_is_named_and_skipped_and_counted(with_broken, tmp_path):
    store = make_store(tmp_path / "store", with_broken)
    fill(store)
    assert_holds(store, with_broken[:5] + with_broken[6:])
    bad = with_broken[5][0]
    ((name, reason),) = store.read().skipped.items()
    assert name == f"{bad.parent.name}/{bad.name}" and "cannot identify" in reason
    for file, _ in with_broken:
        file.write_bytes(b"not a photo")
    store = make_store(tmp_path / "other", with_broken)
    fill(store)
    with pytest.raises(FeatureStoreError, match="None of the 18 photos"):
        store.read()


def test_a_photo_that_was_replaced_is_taken_anew(with_broken, samples, tmp_path):
    fill(make_store(tmp_path / "store", with_broken))
    shutil.copyfile(samples[5][0], with_broken[5][0])
    Image.new("RGB", (99, 77), "red").save(with_broken[9][0])
    store = make_store(tmp_path / "store", with_broken)
    assert fill(store).asked == [with_broken[5][0], with_broken[9][0]], "they alone"
    assert_holds(store, with_broken)


def test_a_missing_photo_and_no_photos_are_said_at_once(samples, tmp_path):
    gone = [*samples, (tmp_path / "gone.jpg", 0)]
    with pytest.raises(FeatureStoreError, match="gone.jpg cannot be read"):
        make_store(tmp_path / "store", gone)
    with pytest.raises(FeatureStoreError, match="no photos"):
        make_store(tmp_path / "store", [])
    assert not (tmp_path / "store").exists()


# Writing


def test_a_disk_that_takes_no_more_is_said_and_leaves_nothing(
    samples, tmp_path, monkeypatch
):
    error = OSError(28, "No space left on device")
    monkeypatch.setattr(files.os, "fsync", mock.Mock(side_effect=error))
    with pytest.raises(FileError, match="Make room"):
        fill(make_store(tmp_path / "store", samples))
    assert os.listdir(tmp_path / "store") == []


def test_features_that_do_not_fit_the_photos_are_refused(full):
    with pytest.raises(ValueError, match="every photo"):
        full.write([0, 1, 2, 3], np.zeros((3, 3)), {})
    with pytest.raises(FeatureStoreError, match="no number"):
        full.write([0, 1, 2, 3], np.full((4, 3), np.nan), {})
