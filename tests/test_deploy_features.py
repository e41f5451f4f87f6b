"""deploy/features.py: the lesson's shards, made by Ray's workers.

The network of its own in which Ray runs, and why, is in test_deploy_ray.py.
"""

import subprocess

import pytest
import torch
from extractor_fixture import make_extractor
from test_deploy_ray import (  # noqa: F401  fixtures
    assert_all_stopped,
    command,
    environment,
    inside,
    network,
)

from going_modular.extractor import OnnxExtractor
from going_modular.feature_store import FeatureStore
from going_modular.food101 import choose_photos
from going_modular.practice_food101 import draw_food101


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    return make_extractor(tmp_path_factory.mktemp("models") / "extractor.onnx")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Food-101 in miniature, with one photo that is broken."""
    data = draw_food101(tmp_path_factory.mktemp("data"))
    choose_photos(data, share=1).train[200][0].write_bytes(b"not a photo")
    return data


@pytest.fixture
def start(inside, environment):  # noqa: F811
    def start(*arguments):
        return inside.submit(
            subprocess.run,
            command("features.py", *arguments),
            env=environment,
            cwd=environment["HOME"],
            capture_output=True,
            text=True,
            timeout=300,
        )

    return start


def stores(folder, part):
    return [
        FeatureStore(folder, samples, network="mean colours")
        for samples in (part.train, part.test)
    ]


def test_workers_make_the_shards_that_the_lesson_makes(
    start,
    network,  # noqa: F811
    extractor,
    data,
    tmp_path,
):
    part = choose_photos(data, share=1)
    folder, ours_at = tmp_path / "by Ray", tmp_path / "here"
    done = start(extractor, data, folder, "--share", 1).result()
    assert done.returncode == 0, done.stderr[-3000:]
    assert_all_stopped(network)
    assert "1515 photos, 12 shards made by 2 workers" in done.stdout

    ours = OnnxExtractor(extractor, threads=1)
    for theirs, mine in zip(stores(folder, part), stores(ours_at, part), strict=True):
        assert theirs.missing() == []
        mine.fill(ours)
        got, expected = theirs.read(), mine.read()
        assert got.samples == expected.samples
        assert got.skipped.keys() == expected.skipped.keys()
        for one, other in zip(
            got.features.tensors, expected.features.tensors, strict=True
        ):
            assert torch.equal(one, other)
    by_ray, here = (sorted(p.name for p in f.iterdir()) for f in (folder, ours_at))
    assert by_ray == here

    # Run again with two shards gone, it makes those two; with none gone, nothing.
    train, test = stores(folder, part)
    for shard in (train.shards[3], test.shards[0]):
        shard.file.unlink()
    done = start(extractor, data, folder, "--share", 1).result()
    assert "1515 photos, 2 shards made" in done.stdout, done.stderr[-3000:]
    done = start(extractor, data, folder, "--share", 1).result()
    assert "0 shards made by 0 workers" in done.stdout
    assert [s.missing() for s in stores(folder, part)] == [[], []]
    assert_all_stopped(network)


def test_it_says_what_is_wrong_before_it_starts(start, extractor, data, tmp_path):
    text = tmp_path / "model.onnx"
    text.write_text("version https://git-lfs.github.com/spec/v1")
    cases = {
        "bonus section": [text, data, tmp_path / "f"],
        "no Food-101": [extractor, tmp_path, tmp_path / "f"],
        "at most 1": [extractor, data, tmp_path / "f", "--share", 7],
    }
    runs = {sentence: start(*arguments) for sentence, arguments in cases.items()}
    for sentence, run in runs.items():
        done = run.result()
        assert done.returncode and sentence in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "f").exists()
