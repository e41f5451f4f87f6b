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
PHOTOS = 18  # four whole files and a short one


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(feature_store, "CHUNK", CHUNK)


@pytest.fixture
def samples(tmp_path):
    for number in range(PHOTOS):
        file = tmp_path / "photos" / f"dish_{number % 3}" / f"{number}.jpg"
        file.parent.mkdir(exist_ok=True, parents=True)
        plate(number, 0).save(file)
    files = sorted((tmp_path / "photos").rglob("*.jpg"))
    return [(file, int(file.parent.name[-1])) for file in files]


def mean_colours(photo):
    return np.asarray(Image.open(photo).convert("RGB"), np.float32).mean(axis=(0, 1))


def make_store(samples, network="a network"):
    folder = samples[0][0].parents[2] / "store"
    return FeatureStore(folder, samples, network=network, width=3)


def fill(store, stop_after=None):
    """Fill a store with mean colours; returns the photos that were asked for."""
    asked = []

    def colours(photos):
        if len(asked) == stop_after:
            raise KeyboardInterrupt
        rows, reasons = [], {}
        for place, photo in enumerate(photos):
            asked.append(photo)
            try:
                rows.append(mean_colours(photo))
            except OSError as error:
                reasons[place] = str(error)
        return np.array(rows, np.float32), reasons

    store.fill(colours)
    return asked


def files_of(samples):
    return [file for file, _ in samples]


def assert_holds(store, samples):
    """It gives the features of these photos, in order, and their labels."""
    stored = store.read()
    features, labels = stored.features.tensors
    expected = torch.tensor(np.array([mean_colours(file) for file, _ in samples]))
    assert features.dtype == torch.float32 and torch.equal(features, expected)
    assert labels.tolist() == [label for _, label in samples]
    assert stored.samples == samples


def test_an_interrupted_run_goes_on_where_it_was(samples):
    with pytest.raises(KeyboardInterrupt):
        fill(make_store(samples), stop_after=2 * CHUNK)
    store = make_store(samples)
    assert fill(store) == files_of(samples[2 * CHUNK :])
    assert_holds(store, samples)
    assert store.read().skipped == {} and fill(make_store(samples)) == []


def test_of_another_network_or_other_photos_nothing_is_taken(samples, tmp_path):
    fill(make_store(samples))
    for network, first in (("another", 0), ("a network", 1)):
        store = make_store(samples[first:], network)
        assert fill(store) == files_of(samples[first:])
        assert_holds(store, samples[first:])
    assert make_store(samples).missing() == [], "and what was there is kept"
    moved = shutil.move(tmp_path / "photos", tmp_path / "moved")
    again = [(moved / file.relative_to(tmp_path / "photos"), n) for file, n in samples]
    assert make_store(again).missing() == [], "wherever the photos lie"


def test_what_is_damaged_is_made_again_and_nothing_else(samples):
    store = make_store(samples)
    fill(store)
    file = store.files[CHUNK]
    content = file.read_bytes()
    at = content.index(b"\x93NUMPY") + 130  # behind the head of the first array
    one_bit = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    for damaged in (b"", content[:at], b"my shopping list", one_bit):
        file.write_bytes(damaged)
        store = make_store(samples)
        with pytest.raises(FeatureStoreError, match="4 of 18.*makes what is missing"):
            store.read()
        assert fill(store) == files_of(samples[CHUNK : 2 * CHUNK])
        assert_holds(store, samples)


def test_broken_photos_are_named_skipped_and_taken_anew_once_replaced(samples):
    bad, good = samples[5][0], samples[5][0].read_bytes()
    bad.write_bytes(b"not a photo")
    fill(make_store(samples))
    store = make_store(samples)
    assert fill(store) == []
    assert_holds(store, samples[:5] + samples[6:])
    ((name, reason),) = store.read().skipped.items()
    assert name == f"{bad.parent.name}/{bad.name}" and "cannot identify" in reason
    bad.write_bytes(good)
    store = make_store(samples)
    assert fill(store) == files_of(samples[CHUNK : 2 * CHUNK])
    assert_holds(store, samples)
    for file, _ in samples:
        file.write_bytes(b"not a photo")
    store = make_store(samples)
    fill(store)
    with pytest.raises(FeatureStoreError, match="None of the 18 photos"):
        store.read()


def test_what_cannot_be_stored_is_said_and_leaves_nothing(samples, monkeypatch):
    gone = [*samples, (samples[0][0].with_name("gone.jpg"), 0)]
    with pytest.raises(FeatureStoreError, match="gone.jpg cannot be read"):
        make_store(gone)
    with pytest.raises(FeatureStoreError, match="no photos"):
        FeatureStore(gone[0][0], [], network="a network", width=3)
    store = make_store(samples)
    with pytest.raises(FeatureStoreError, match="no number"):
        store.write(range(4), np.full((4, 3), np.nan), {})
    error = OSError(28, "No space left on device")
    monkeypatch.setattr(files.os, "fsync", mock.Mock(side_effect=error))
    with pytest.raises(FileError, match="Make room"):
        fill(store)
    assert os.listdir(store.folder) == []
