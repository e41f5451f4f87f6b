"""Trees in Food-101's format: found, unpacked; the choice; clear words."""

import json
import shutil
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
from plain_dishes import COUNTS, NAMES, write_dishes
from torchvision.datasets import Food101

from going_modular.big import food101
from going_modular.big.food101 import Tree, choose_photos, find_tree
from going_modular.datasets import DataError
from going_modular.drawn import CLASS_NAMES, OTHER_NAMES

MANY = {"train": 10, "test": 5}
LISTINGS = json.loads(Path(__file__).with_name("food101_listings.json").read_text())


@pytest.fixture
def folder(tmp_path):
    """A reader's own tree of two dishes, to spoil."""
    return write_dishes(tmp_path / "own" / "food-101", dishes=2)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The lesson's data folder, with nothing in it, and no internet."""
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    return tmp_path / "data"


def names_of(samples):
    return [file.relative_to(file.parents[1]).as_posix() for file, _ in samples]


def zipped(folder, *, top):
    """A zip of a tree, with or without the tree's own folder on top."""
    base = folder.parent / ("with" if top else "without")
    inside = {"base_dir": folder.name} if top else {}
    root = folder.parent if top else folder
    return Path(shutil.make_archive(str(base), "zip", root, **inside))


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


def test_a_small_tree_is_taken_whole_and_a_large_one_in_part(folder, monkeypatch):
    tree, total = Tree(folder, is_practice=False), 2 * sum(COUNTS.values())
    # Of the large one a fifth of 6 is 1, and the gate needs 2.
    for up_to, sizes in ((total, (12, 6)), (total - 1, (4, 2))):
        monkeypatch.setattr(food101, "ALL_UP_TO", up_to)
        part = choose_photos(tree)
        assert (len(part.train), len(part.test)) == sizes


def test_a_folder_is_taken_where_it_is(folder, data, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    (folder.parent / "notes").mkdir()
    for named in (folder, folder.parent, "~/food-101/"):
        assert find_tree(f" {named} ", data) == Tree(folder, is_practice=False)
    assert not data.exists()


@pytest.mark.parametrize("top", [True, False])
def test_a_zip_is_unpacked_once(top, folder, data):
    archive = zipped(folder, top=top)
    tree = find_tree(str(archive), data)
    assert tree.folder.is_relative_to(data) and not tree.is_practice
    assert len(choose_photos(tree).train) == 12
    (tree.folder / "mine").write_text("kept")
    assert find_tree(str(archive), data) == tree
    assert (tree.folder / "mine").exists() and len(list(data.iterdir())) == 1


def test_what_cannot_be_used_says_why_and_leaves_nothing(folder, data, tmp_path):
    (tmp_path / "food-101.tar.gz").write_bytes(b"no zip")
    for name in ("nowhere", "off", "food-101.tar.gz"):
        with pytest.raises(DataError) as caught:
            find_tree(str(tmp_path / name), data)
        for part in ("FOODVISION_BIG", str(tmp_path / name), '"photos"', '"practice"'):
            assert part in str(caught.value)
    assert not data.exists()
    shutil.copytree(folder, folder.with_name("other"))
    with pytest.raises(DataError, match="found: food-101, other. Put that right"):
        find_tree(str(folder.parent), data)
    (folder / "meta" / "test.json").write_text("{")
    with pytest.raises(DataError, match="test.json cannot be used: Expecting"):
        find_tree(str(zipped(folder, top=True)), data)
    shutil.rmtree(folder / "meta")
    with pytest.raises(DataError, match="should hold images/ and meta/.*right and run"):
        find_tree(str(zipped(folder, top=False)), data)
    assert list(data.iterdir()) == []


def test_unset_it_is_food101_if_that_is_there_else_drawn(folder, data, tmp_path):
    drawn = find_tree("", data)
    part = choose_photos(drawn)
    assert drawn.folder == data / "drawn-food-101" and drawn.is_practice
    assert part.class_names == sorted(CLASS_NAMES + OTHER_NAMES)
    assert (len(part.train), len(part.test)) == (168, 84)
    before = {file: file.stat().st_mtime_ns for file in drawn.folder.rglob("*")}
    assert find_tree("practice", data) == drawn
    assert before == {file: file.stat().st_mtime_ns for file in drawn.folder.rglob("*")}
    shutil.copytree(folder, data / "food-101")
    for named in ("", "photos"):
        assert find_tree(named, data) == Tree(data / "food-101", is_practice=False)
    assert find_tree("practice", data) == drawn
    shutil.rmtree(data / "food-101" / "meta")
    assert find_tree("", data) == drawn
    moved = drawn.folder.rename(tmp_path / "moved")  # known wherever they are
    assert find_tree(str(moved), data) == Tree(moved, is_practice=True)


@pytest.mark.parametrize(
    ("offline", "free", "told"),
    [
        ("1", 30, "copy a food-101 folder"),
        ("0", 3, "Make room"),
        ("0", 30, "corrupted.*run this again"),
    ],
    ids=["no internet", "full disk", "failed download"],
)
def test_what_cannot_be_downloaded_says_what_to_do(
    offline, free, told, data, tmp_path, monkeypatch
):
    monkeypatch.setenv("FOODVISION_OFFLINE", offline)
    usage = shutil.disk_usage(tmp_path)._replace(free=free * 10**9)
    monkeypatch.setattr(food101.shutil, "disk_usage", lambda _: usage)
    failed = mock.Mock(side_effect=RuntimeError("File not found or corrupted."))
    monkeypatch.setattr(Food101, "_download", failed)
    with pytest.raises(DataError, match=told):
        find_tree("photos", data)


@pytest.mark.parametrize("case", LISTINGS, ids=[case["said"] for case in LISTINGS])
def test_listings_that_cannot_be_used(case, folder):
    """A case has the text of train.json, or its dishes; test.json may be the same."""
    for half in ("train", "test"):
        content = case.get(half, case["train"])
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / "meta" / f"{half}.json").write_text(text)
    with pytest.raises(DataError, match=case["said"]) as caught:
        choose_photos(Tree(folder, is_practice=False))
    where = folder / "meta" / case.get("file", "train.json")
    assert str(where) in str(caught.value) and "run this again" in str(caught.value)


def test_photos_that_are_not_there_are_counted_and_one_is_named(folder):
    tree = Tree(folder, is_practice=False)
    gone = choose_photos(tree).train[:3]
    for file, _ in gone:  # as when unpacking was interrupted
        file.unlink()
    with pytest.raises(DataError, match="3 of 18") as caught:
        choose_photos(tree)
    assert str(gone[0][0]) in str(caught.value) and "delete" in str(caught.value)
    (folder / "meta" / "train.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="train.json cannot be used: .*recursion"):
        choose_photos(tree)
    (folder / "meta" / "train.json").unlink()
    with pytest.raises(DataError, match=r"cannot be used: .*No such file.*train\.json"):
        choose_photos(tree)
