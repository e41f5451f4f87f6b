"""Stored features: whole or missing, never of something else, never computed twice."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from plain_dishes import plate

from going_modular import files
from going_modular.big import features as feature_store
from going_modular.big.features import FeatureStore, FeatureStoreError
from going_modular.files import FileError

ROOT = Path(__file__).resolve().parents[1]
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
    store.fill(Colours())
    return store


def expected(samples):
    return torch.tensor(np.array([mean_colours(file) for file, _ in samples]))


def test_everything_comes_back_in_order(full, samples):
    stored = full.read()
    features, labels = stored.features.tensors
    assert features.dtype == torch.float32 and torch.equal(features, expected(samples))
    assert labels.tolist() == [label for _, label in samples]
    assert stored.samples == samples and stored.skipped == {}
    assert os.listdir(full.file.parent) == [full.file.name]


def test_a_full_store_asks_nothing_and_says_so(full, samples, capsys):
    again, colours = make_store(full.file.parent, samples), Colours()
    capsys.readouterr()
    again.fill(colours)
    assert colours.asked == []
    last = capsys.readouterr().out.split("\r")[-1]
    assert "100%" in last and "18/18" in last


def test_the_disk_is_reserved_at_once(full):
    """Rows are not holes in the file: those would need room only later."""
    status = full.file.stat()
    assert 512 * status.st_blocks >= status.st_size


# Killed

KILLED = """
import os, signal, sys
sys.path[:0] = {paths!r}
import numpy as np
from going_modular.big import features as feature_store
from test_feature_store import CHUNK, Colours, make_store

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

feature_store.CHUNK = CHUNK
class Dying(Colours):
    def __call__(self, photos):
        if len(self.asked) == 8 and {point!r} == "while features are calculated":
            super().__call__(photos[:2])
            die()
        return super().__call__(photos)

dying, store = Dying(), make_store({folder!r}, {samples!r})
flush = np.memmap.flush
def third(self):
    if len(dying.asked) == 12 and {point!r} == "while rows are written":
        self["features"][11] = 0  # that one had not come to the disk
        die()
    flush(self)
np.memmap.flush = third
if {point!r} == "while the disk is reserved":
    feature_store.open_memmap = lambda *a, real=feature_store.open_memmap: (
        die() if a[1] == "w+" else real(*a)
    )
store.fill(dying)
"""
POINTS = {  # and the photos that are then to be done, in order
    "while the disk is reserved": range(PHOTOS),
    "while features are calculated": range(8, PHOTOS),
    "while rows are written": range(11, PHOTOS),
}


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_goes_on_where_it_was(point, samples, tmp_path):
    folder = tmp_path / "store"
    script = KILLED.format(
        paths=[str(ROOT), str(ROOT / "tests")],
        point=point,
        folder=str(folder),
        samples=[(str(file), label) for file, label in samples],
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    store, colours = make_store(folder, samples), Colours()
    store.fill(colours)
    assert colours.asked == [samples[number][0] for number in POINTS[point]]
    assert torch.equal(store.read().features.tensors[0], expected(samples))


# Never the features of something else


def test_another_network_has_a_file_of_its_own(full, samples):
    other, colours = make_store(full.file.parent, samples, "B"), Colours()
    other.fill(colours)
    assert len(colours.asked) == PHOTOS
    assert full.missing() == [], "and the first network's are kept"


def test_other_photos_have_a_file_of_their_own(full, samples):
    fewer, colours = make_store(full.file.parent, samples[1:]), Colours()
    fewer.fill(colours)
    assert len(colours.asked) == PHOTOS - 1
    assert torch.equal(fewer.read().features.tensors[0], expected(samples[1:]))


def test_a_file_of_another_width_under_this_name_is_not_taken(full, samples):
    wider = FeatureStore(full.file.parent, samples, network="a network", width=5)
    assert wider.file != full.file
    shutil.copyfile(full.file, wider.file)
    assert len(wider.missing()) == PHOTOS


def test_a_moved_data_set_keeps_its_features(full, samples, tmp_path):
    root = samples[0][0].parents[1]
    shutil.copytree(root, tmp_path / "moved")
    moved = [(tmp_path / "moved" / file.relative_to(root), n) for file, n in samples]
    assert make_store(full.file.parent, moved).missing() == []


@pytest.mark.parametrize("damage", ["empty", "half", "zeros", "text", "one bit"])
def test_what_is_damaged_is_made_again_and_nothing_else(damage, full, samples):
    content = full.file.read_bytes()
    half = len(content) // 2
    damaged = {
        "empty": b"",
        "half": content[:half],
        "zeros": content[:half] + bytes(len(content) - half),
        "text": b"my shopping list",
        "one bit": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    }[damage]
    full.file.write_bytes(damaged)
    with pytest.raises(FeatureStoreError, match="again: it makes what is missing"):
        make_store(full.file.parent, samples).read()
    colours = Colours()
    full.fill(colours)
    kept = PHOTOS - len(colours.asked)
    assert kept == {"half": 3, "zeros": 3, "one bit": PHOTOS - 1}.get(damage, 0)
    assert colours.asked == [file for file, _ in samples[kept:]]
    assert torch.equal(full.read().features.tensors[0], expected(samples))


# Photos that cannot be opened


@pytest.fixture
def with_broken(samples, tmp_path):
    root = samples[0][0].parents[1]
    shutil.copytree(root, tmp_path / "copy")
    mine = [(tmp_path / "copy" / file.relative_to(root), n) for file, n in samples]
    mine[5][0].write_bytes(b"not a photo")
    return mine


def test_a_broken_photo_is_named_and_skipped_and_counted(with_broken, tmp_path):
    store = make_store(tmp_path / "store", with_broken)
    store.fill(Colours())
    stored = store.read()
    bad = with_broken[5][0]
    assert list(stored.skipped) == [f"{bad.parent.name}/{bad.name}"]
    assert "cannot identify" in stored.skipped[f"{bad.parent.name}/{bad.name}"]
    good = with_broken[:5] + with_broken[6:]
    assert stored.samples == good and len(stored.features) == PHOTOS - 1
    features, labels = stored.features.tensors
    assert torch.equal(features, expected(good))
    assert labels.tolist() == [label for _, label in good]


def test_a_good_copy_in_its_place_is_taken_up(with_broken, samples, tmp_path):
    make_store(tmp_path / "store", with_broken).fill(Colours())
    shutil.copyfile(samples[5][0], with_broken[5][0])
    store, colours = make_store(tmp_path / "store", with_broken), Colours()
    store.fill(colours)
    assert colours.asked == [with_broken[5][0]], "it alone"
    assert store.read().skipped == {} and len(store.read().features) == PHOTOS


def test_a_photo_that_was_replaced_is_taken_anew(with_broken, samples, tmp_path):
    shutil.copyfile(samples[5][0], with_broken[5][0])
    store = make_store(tmp_path / "store", with_broken)
    store.fill(Colours())
    Image.new("RGB", (99, 77), "red").save(with_broken[9][0])
    again, colours = make_store(tmp_path / "store", with_broken), Colours()
    again.fill(colours)
    assert colours.asked == [with_broken[9][0]]
    assert torch.equal(again.read().features.tensors[0], expected(with_broken))


def test_if_no_photo_opens_it_says_so(with_broken, tmp_path):
    for file, _ in with_broken:
        file.write_bytes(b"not a photo")
    store = make_store(tmp_path / "store", with_broken)
    store.fill(Colours())
    with pytest.raises(FeatureStoreError, match="None of the 18 photos"):
        store.read()


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
    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full_disk)
    store = make_store(tmp_path / "store", samples)
    with pytest.raises(FileError, match="Make room"):
        store.fill(Colours())
    assert os.listdir(tmp_path / "store") == []
    monkeypatch.undo()
    store.fill(Colours())
    assert torch.equal(store.read().features.tensors[0], expected(samples))


def test_a_file_in_the_folders_place_is_said(samples, tmp_path):
    (tmp_path / "store").write_text("x")
    with pytest.raises(FileError, match="could not be written"):
        make_store(tmp_path / "store", samples).fill(Colours())


def test_features_that_do_not_fit_the_photos_are_refused(full):
    with pytest.raises(ValueError, match="every photo"):
        full.write([0, 1, 2, 3], np.zeros((3, 3)), {})
    with pytest.raises(FeatureStoreError, match="no number"):
        full.write([0, 1, 2, 3], np.full((4, 3), np.nan), {})
