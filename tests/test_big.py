"""FoodVision Big: its tree of photos, its stored features, its app of 101 dishes."""

import copy
import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import requests
import torch
from demo_model_fixture import ABOUT
from drawn_images import NAMES, write_dishes
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import Food101

from going_modular.app.model import Predictor
from going_modular.app_process import ask_demo, run_demo
from going_modular.big import features, food101
from going_modular.big.features import FeatureStore, find_dishes
from going_modular.big.food101 import Tree, choose_photos, find_tree
from going_modular.companion import train_head
from going_modular.datasets import DataError, PictureDataset, load_picture
from going_modular.demo_folder import APP, COPIED, WRITTEN, copy_app, write_readme
from going_modular.drawn import CLASS_NAMES, OTHER_NAMES
from going_modular.engine import store_features
from going_modular.evaluation import score_features, top_k_right
from going_modular.export import export_onnx, make_deployable, quantize, ship
from going_modular.files import FileError, LessonError
from going_modular.gate import sample_references
from going_modular.model_builder import build_effnet_lite2, with_classes
from going_modular.predictions import answer_all
from going_modular.stored_features import Extractor

MANY = {"train": 10, "test": 5}
LISTINGS = json.loads(Path(__file__).with_name("food101_listings.json").read_text())


@pytest.fixture
def folder(tmp_path):
    """A reader's own tree of two dishes, to spoil."""
    return write_dishes(tmp_path / "own" / "food-101", dishes=2)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    return tmp_path / "data"


def names_of(samples):
    return [file.relative_to(file.parents[1]).as_posix() for file, _ in samples]


def zipped(folder, *, top):
    what = (folder.parent, folder.name) if top else (folder,)
    return shutil.make_archive(str(folder.parent / f"{top}"), "zip", *what)


def test_every_class_gives_the_same_share_and_the_seed_alone_decides(tmp_path):
    many = Tree(write_dishes(tmp_path / "food-101", MANY, dishes=101), is_practice=True)
    fifth, half, whole = (choose_photos(many, share=s) for s in (0.2, 0.5, 1))
    assert fifth.class_names == NAMES
    assert not set(names_of(fifth.train)) & set(names_of(fifth.test))
    assert set(fifth.train) < set(half.train) < set(whole.train)
    for split, samples in (("train", whole.train), ("test", whole.test)):
        theirs = Food101(tmp_path, split=split, loader=Path)
        assert set(samples) == {theirs[n] for n in range(len(theirs))}
        counts = Counter(label for _, label in getattr(fifth, split))
        assert set(counts.values()) == {MANY[split] // 5} and len(counts) == 101
    # Another folder, another order on the disk, and fewer classes.
    few = Tree(write_dishes(tmp_path / "few", MANY, dishes=2), is_practice=True)
    again = choose_photos(few, share=0.2)
    assert set(names_of(again.train)) < set(names_of(fifth.train))
    assert set(names_of(again.test)) < set(names_of(fifth.test))
    assert fifth.train != choose_photos(many, share=0.2, seed=1).train
    # Written down, so that no later change chooses other photos unnoticed.
    written = ["apple_pie/100007.jpg", "apple_pie/100056.jpg"]
    assert names_of(fifth.train)[:2] == written
    for share in (0, -0.1, 20):
        with pytest.raises(ValueError, match=f"at most 1 .all photos., not {share}"):
            choose_photos(few, share=share)


def test_a_small_tree_is_taken_whole_and_a_large_one_in_part(folder, monkeypatch):
    for up_to, sizes in ((18, (12, 6)), (17, (4, 2))):
        monkeypatch.setattr(food101, "ALL_UP_TO", up_to)
        part = choose_photos(Tree(folder, is_practice=False))
        # Of the large one a fifth of 6 is 1, and the gate needs 2.
        assert (len(part.train), len(part.test)) == sizes


def test_a_folder_is_taken_where_it_is_a_zip_unpacked_once(folder, data, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    (folder.parent / "notes").mkdir()
    for named in (folder, folder.parent, "~/food-101/"):
        assert find_tree(f" {named} ", data) == Tree(folder, is_practice=False)
    assert not data.exists()
    for number, top in enumerate((True, False), start=1):
        archive = zipped(folder, top=top)
        tree = find_tree(archive, data)
        assert tree.folder.is_relative_to(data) and not tree.is_practice
        assert len(choose_photos(tree).train) == 12
        (tree.folder / "mine").write_text("kept")
        assert find_tree(archive, data) == tree
        assert (tree.folder / "mine").exists() and len(os.listdir(data)) == number


def test_what_cannot_be_used_says_why_and_leaves_nothing(folder, data, tmp_path):
    (tmp_path / "food-101.tar.gz").write_bytes(b"no zip")
    for name in ("nowhere", "off", "food-101.tar.gz"):
        told = f'at {tmp_path / name}. FOODVISION_BIG can .*"photos".*"practice"'
        with pytest.raises(DataError, match=told):
            find_tree(str(tmp_path / name), data)
    assert not data.exists()
    shutil.copytree(folder, folder.with_name("other"))
    with pytest.raises(DataError, match="found: food-101, other. Put that right"):
        find_tree(str(folder.parent), data)
    (folder / "meta" / "test.json").write_text("{")
    with pytest.raises(DataError, match="test.json cannot be used: Expecting"):
        find_tree(zipped(folder, top=True), data)
    shutil.rmtree(folder / "meta")
    with pytest.raises(DataError, match="should hold images/ and meta/.*right and run"):
        find_tree(zipped(folder, top=False), data)
    assert os.listdir(data) == []


def test_unset_it_is_food101_if_that_is_there_else_drawn(folder, data, tmp_path):
    drawn = find_tree("", data)
    part = choose_photos(drawn)
    assert drawn.folder == data / "drawn-food-101" and drawn.is_practice
    assert part.class_names == sorted(CLASS_NAMES + OTHER_NAMES)
    assert (len(part.train), len(part.test)) == (168, 84)
    (drawn.folder / "mine").write_text("kept")
    assert find_tree("practice", data) == drawn
    assert (drawn.folder / "mine").exists(), "drawn once"
    shutil.copytree(folder, data / "food-101")
    for named in ("", "photos"):
        assert find_tree(named, data) == Tree(data / "food-101", is_practice=False)
    assert find_tree("practice", data) == drawn
    shutil.rmtree(data / "food-101" / "meta")
    assert find_tree("", data) == drawn
    moved = drawn.folder.rename(tmp_path / "moved")  # known wherever they are
    assert find_tree(str(moved), data) == Tree(moved, is_practice=True)


def test_what_cannot_be_downloaded_says_what_to_do(data, monkeypatch):
    failed = mock.Mock(side_effect=RuntimeError("File not found or corrupted."))
    monkeypatch.setattr(Food101, "_download", failed)
    for offline, free, told in (
        ("1", 30, "copy a food-101 folder"),
        ("0", 3, "Make room"),
        ("0", 30, "corrupted.*run this again"),
    ):
        disk = mock.Mock(return_value=mock.Mock(free=free * 10**9))
        monkeypatch.setattr(food101.shutil, "disk_usage", disk)
        monkeypatch.setenv("FOODVISION_OFFLINE", offline)
        with pytest.raises(DataError, match=told):
            find_tree("photos", data)


def test_listings_that_cannot_be_used(folder):
    meta, tree = folder / "meta", Tree(folder, is_practice=False)
    deep = {"train": "[" * 100_000, "said": "recursion"}
    for case in [*LISTINGS, deep]:
        for half in ("train", "test"):
            content = case.get(half, case["train"])
            text = content if isinstance(content, str) else json.dumps(content)
            (meta / f"{half}.json").write_text(text)
        where = meta / case.get("file", "train.json")
        told = f"{where} cannot be used: .*{case['said']}.*run this again"
        with pytest.raises(DataError, match=told):
            choose_photos(tree)
    (meta / "train.json").unlink()
    with pytest.raises(DataError, match=r"cannot be used: .*No such file.*train\.json"):
        choose_photos(tree)


def test_photos_that_are_not_there_are_counted_and_one_is_named(folder):
    tree = Tree(folder, is_practice=False)
    gone = [file for file, _ in choose_photos(tree).train[:3]]
    for file in gone:  # as when unpacking was interrupted
        file.unlink()
    told = f"3 of 18 .* such as {gone[0]}.*delete {folder}"
    with pytest.raises(DataError, match=told):
        choose_photos(tree)


CHUNK = 4  # of 18 photos: four whole files and a short one


@pytest.fixture
def samples(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "CHUNK", CHUNK)
    folder = write_dishes(tmp_path / "photos", {"train": 6, "test": 0}, dishes=3)
    return PictureDataset(folder / "images").samples


def mean_colours(photo):
    return np.asarray(Image.open(photo).convert("RGB"), np.float32).mean(axis=(0, 1))


def make_store(samples, network="a network"):
    folder = samples[0][0].parents[3] / "store"
    return FeatureStore(folder, samples, network=network, width=3)


def fill(store, stop_after=None):
    """Fill a store with mean colours; returns the photos that were asked for."""
    asked = []

    def colours(photos):
        if len(asked) == stop_after:
            raise KeyboardInterrupt
        asked.extend(photos)
        rows, reasons = [], {}
        for place, photo in enumerate(photos):
            try:
                rows.append(mean_colours(photo))
            except OSError as error:
                reasons[place] = str(error)
        return np.array(rows, np.float32), reasons

    store.fill(colours)
    return asked


def assert_fills(store, asked, samples):
    """What it asks for, and what it then holds."""
    assert fill(store) == asked
    stored = store.read()
    rows, labels = stored.features.tensors
    expected = torch.tensor(np.array([mean_colours(file) for file, _ in samples]))
    assert rows.dtype == torch.float32 and torch.equal(rows, expected)
    assert labels.tolist() == [label for _, label in samples]
    assert stored.samples == samples


def test_an_interrupted_run_goes_on_and_of_others_nothing_is_taken(samples, tmp_path):
    photos = [file for file, _ in samples]
    with pytest.raises(KeyboardInterrupt):
        fill(make_store(samples), stop_after=2 * CHUNK)
    store = make_store(samples)
    assert_fills(store, photos[2 * CHUNK :], samples)
    assert store.read().skipped == {} and fill(make_store(samples)) == []
    for network, first in (("another", 0), ("a network", 1)):
        store = make_store(samples[first:], network)
        assert_fills(store, photos[first:], samples[first:])
    assert make_store(samples).missing() == [], "and what was there is kept"
    moved = shutil.move(tmp_path / "photos", tmp_path / "moved")
    again = [(moved / file.relative_to(tmp_path / "photos"), n) for file, n in samples]
    assert make_store(again).missing() == [], "wherever the photos lie"


def test_what_is_damaged_is_made_again_and_a_broken_photo_is_named(samples):
    store = make_store(samples)
    fill(store)
    file, second = store.files[CHUNK], [file for file, _ in samples[CHUNK : 2 * CHUNK]]
    content = file.read_bytes()
    at = content.index(b"\x93NUMPY") + 130  # behind the head of the first array
    one_bit = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    for damaged in (b"", content[:at], b"my shopping list", one_bit):
        file.write_bytes(damaged)
        store = make_store(samples)
        with pytest.raises(LessonError, match="4 of 18.*makes what is missing"):
            store.read()
        assert_fills(store, second, samples)
    bad, good = second[1], second[1].read_bytes()
    bad.write_bytes(b"not a photo")
    assert fill(make_store(samples)) == second
    store = make_store(samples)
    assert_fills(store, [], samples[:5] + samples[6:])
    ((name, reason),) = store.read().skipped.items()
    assert name == f"{bad.parent.name}/{bad.name}" and "cannot identify" in reason
    bad.write_bytes(good + bytes(9))  # another copy of it
    assert_fills(make_store(samples), second, samples)


def test_what_cannot_be_stored_is_said_and_leaves_nothing(samples, monkeypatch):
    with pytest.raises(LessonError, match="gone.jpg cannot be read"):
        make_store([*samples, (samples[0][0].with_name("gone.jpg"), 0)])
    store = make_store(samples)
    with pytest.raises(LessonError, match="no number"):
        store.write(range(4), np.full((4, 3), np.nan), {})
    error = OSError(28, "No space left on device")
    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "fsync", mock.Mock(side_effect=error))
        with pytest.raises(FileError, match="Make room"):
            fill(store)
    assert os.listdir(store.folder) == []
    for file, _ in samples:
        file.write_bytes(b"not a photo")
    fill(store := make_store(samples))
    with pytest.raises(LessonError, match="None of the 18 photos"):
        store.read()


SIZE, TORN = 96, 7  # pixels: quick; the lesson uses more


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


@pytest.mark.slow
def test_features_are_those_of_section_2_and_of_this_network(built, dishes, tmp_path):
    photos, extract = dishes.photos["test"][:12], Extractor(built, batch_size=8)
    pictures = [(built.transform(load_picture(file)), 0) for file in photos]
    expected = store_features(built.model.base, DataLoader(pictures, batch_size=5))
    rows, reasons = extract(photos)
    assert reasons == {} and features.seconds_a_photo(extract, photos[:3]) > 0
    close = {"atol": 1e-4, "rtol": 1e-3}
    torch.testing.assert_close(torch.from_numpy(rows), expected.tensors[0], **close)
    assert torch.equal(dishes.test.tensors[0][:8], torch.from_numpy(rows[:8]))
    extract.decoders = 2  # as for a GPU
    assert np.array_equal(extract(photos)[0], rows)
    other = replace(built, transform=lambda picture: built.transform(picture))
    assert np.array_equal(Extractor(other)(photos)[0], rows)
    with pytest.raises(DataError, match="gone.jpg"):
        extract([photos[0], tmp_path / "gone.jpg"])
    other, scaled, headless = (copy.deepcopy(built) for _ in range(3))
    next(other.model.base.parameters()).data[0, 0, 0, 0] += 1e-3
    scaled.preprocess.scale *= 2
    headless.model.head[1].weight.data += 1  # features do not depend on the head
    same = features.weights_fingerprint(built)
    assert features.weights_fingerprint(headless) == same
    assert same not in map(features.weights_fingerprint, (other, scaled))


@pytest.mark.slow
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
    readme, names = write_readme(model.about, folder), model.about.class_names
    assert len(set(names)) == 101 and "grilled cheese sandwich" in names
    knows = f"It knows 101 dishes: **{', '.join(names)}**."
    assert knows in readme.read_text("utf-8")
    with run_demo(folder) as running:
        page = requests.get(running.url, timeout=60).text
        assert "FoodVision Big" in page and "FoodVision Mini" not in page
        for photo in dishes.photos["test"][98:102]:
            scores, note = ask_demo(running.url, photo)
            expected, _ = model.predict(photo).best
            assert scores["label"] == expected and expected in note
            assert len(scores["confidences"]) == 5 and "_" not in note
