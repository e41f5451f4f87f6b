"""Shards of features: whole or not there, never of something else, never done twice."""

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

from going_modular import feature_store
from going_modular.feature_store import FeatureStore, FeatureStoreError, write_shard
from going_modular.practice_food101 import draw_dish

ROOT = Path(__file__).resolve().parents[1]
SHARD_SIZE = 4
PHOTOS = 18  # four whole shards and a short one


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(PHOTOS):
        (folder / f"dish_{number % 3}").mkdir(exist_ok=True)
        file = folder / f"dish_{number % 3}" / f"{number}.jpg"
        draw_dish(number, 0).save(file)
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
    return FeatureStore(folder, samples, network=network, shard_size=SHARD_SIZE)


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
    assert len(list(full.shards[0].file.parent.iterdir())) == 5


def test_a_full_store_asks_nothing(full, samples, capsys):
    again, colours = make_store(full.shards[0].file.parent, samples), Colours()
    capsys.readouterr()
    again.fill(colours)
    assert colours.asked == []
    assert "18 of 18 photos are stored already" in capsys.readouterr().out


# Killed

KILLED = """
import os, signal, sys
sys.path[:0] = {paths!r}
import numpy as np
from going_modular import feature_store
from test_feature_store import Colours, make_store

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

class Dying(Colours):
    def __call__(self, photos):
        if len(self.asked) == 8 and {point!r} == "before a shard is calculated":
            super().__call__(photos[:2])
            die()
        return super().__call__(photos)

def write_half(file, **content):
    file.write(b"PK and then half of")
    file.flush()
    die()

dying, store = Dying(), make_store({folder!r}, {samples!r})
savez, replace = np.savez, os.replace
def third(function, instead):
    return lambda *a, **k: (instead if len(dying.asked) == 12 else function)(*a, **k)
if {point!r} == "while it is written":
    np.savez = third(savez, write_half)
if {point!r} == "before it gets its name":
    os.replace = third(replace, die)
store.fill(dying)
"""
POINTS = [
    "before a shard is calculated",
    "while it is written",
    "before it gets its name",
]


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_goes_on_after_the_last_whole_shard(point, samples, tmp_path):
    folder = tmp_path / "store"
    script = KILLED.format(
        paths=[str(ROOT), str(ROOT / "tests")],
        point=point,
        folder=str(folder),
        samples=[(str(file), label) for file, label in samples],
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    left = [file for file in folder.iterdir() if file.suffix == ".part"]
    assert bool(left) == (point != POINTS[0])
    before = {file: file.stat().st_mtime_ns for file in folder.glob("*.npz")}
    assert len(before) == 2

    store, colours = make_store(folder, samples), Colours()
    store.fill(colours)

    assert colours.asked == [file for file, _ in samples[8:]], (
        "done twice, or not at all"
    )
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert len(list(folder.iterdir())) == 5, "nothing of the killed run is left"
    assert torch.equal(store.read().features.tensors[0], expected(samples))


# Never the features of something else


def test_shards_of_another_network_are_not_taken(full, samples):
    other, colours = make_store(full.shards[0].file.parent, samples, "B"), Colours()
    other.fill(colours)
    assert len(colours.asked) == PHOTOS
    assert full.missing() == [], "and the first network's are kept"


def test_shards_of_other_photos_are_not_taken(full, samples):
    fewer, colours = make_store(full.shards[0].file.parent, samples[1:]), Colours()
    fewer.fill(colours)
    assert len(colours.asked) == PHOTOS - 1
    assert torch.equal(fewer.read().features.tensors[0], expected(samples[1:]))


def test_a_shard_under_anothers_name_is_not_taken(full):
    first, second, *_ = full.shards
    shutil.copyfile(first.file, second.file)
    assert full.missing() == [second]


def test_a_moved_data_set_keeps_its_shards(full, samples, tmp_path):
    root = samples[0][0].parents[1]
    shutil.copytree(root, tmp_path / "moved")
    moved = [(tmp_path / "moved" / file.relative_to(root), n) for file, n in samples]
    assert make_store(full.shards[0].file.parent, moved).missing() == []


@pytest.mark.parametrize("damage", ["empty", "half", "other bytes", "text"])
def test_a_damaged_shard_is_made_again_and_no_other(damage, full, samples):
    shard = full.shards[2]
    content = bytearray(shard.file.read_bytes())
    content[len(content) // 2 :] = {
        "empty": b"",
        "half": b"",
        "other bytes": bytes(len(content) - len(content) // 2),
        "text": b"",
    }[damage]
    content = {"empty": b"", "text": b"my shopping list"}.get(damage, content)
    shard.file.write_bytes(content)
    with pytest.raises(FeatureStoreError, match="again: it makes what is missing"):
        full.read()
    colours = Colours()
    full.fill(colours)
    assert colours.asked == list(shard.photos)
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
    assert colours.asked == [file for file, _ in with_broken[4:8]], "its shard alone"
    assert store.read().skipped == {} and len(store.read().features) == PHOTOS


def test_a_shard_of_nothing_but_broken_photos_is_kept(with_broken, tmp_path):
    for file, _ in with_broken[4:8]:
        file.write_bytes(b"not a photo")
    store = make_store(tmp_path / "store", with_broken)
    store.fill(Colours())
    assert store.missing() == [] and len(store.read().skipped) == 4


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
    full, samples, monkeypatch
):
    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    full.shards[0].file.unlink()
    monkeypatch.setattr(feature_store.np, "savez", full_disk)
    with pytest.raises(FeatureStoreError, match="Make room"):
        full.fill(Colours())
    assert len(os.listdir(full.shards[0].file.parent)) == 4
    monkeypatch.undo()
    full.fill(Colours())
    assert torch.equal(full.read().features.tensors[0], expected(samples))


def test_a_file_in_the_folders_place_is_said(samples, tmp_path):
    (tmp_path / "store").write_text("x")
    with pytest.raises(FeatureStoreError, match="could not be written"):
        make_store(tmp_path / "store", samples).fill(Colours())


def test_features_that_do_not_fit_the_photos_are_refused(full):
    shard = full.shards[0]
    with pytest.raises(ValueError, match="every photo"):
        write_shard(shard, np.zeros((3, 3)), {})
    with pytest.raises(ValueError, match="no number"):
        write_shard(shard, np.full((4, 3), np.nan), {})
