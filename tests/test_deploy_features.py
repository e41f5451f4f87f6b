"""deploy/ray/features.py: the lesson's own file of features, made by Ray's workers.

The network of its own in which Ray runs, and why, is in test_deploy_ray.py.
"""

import pytest
import torch
from plain_dishes import write_dishes
from test_deploy_ray import (  # noqa: F401  fixtures
    assert_all_stopped,
    assert_refused,
    environment,
    inside,
    network,
    start,
)

from going_modular.big.features import Extractor, FeatureStore, weights_fingerprint
from going_modular.big.food101 import Tree, choose_photos

SHARE = 0.4
FEATURES = "deploy.ray.features"
SMALL = ("--share", SHARE, "--input-size", 64)


@pytest.fixture(scope="module")
def build(network):  # noqa: F811
    from deploy.ray.features import build  # here, because it imports Ray

    return build


@pytest.fixture(scope="module")
def built(build):
    return build("effnet_lite2", 64)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A small tree, with one photo that is broken."""
    folder = tmp_path_factory.mktemp("data") / "dishes"
    each = {"train": 10, "test": 10}
    tree = Tree(write_dishes(folder, each, dishes=25), is_practice=True)
    choose_photos(tree, share=SHARE).train[70][0].write_bytes(b"not a photo")
    return tree


def test_both_lite_networks_take_an_input_size(build):
    for slug in ("effnet_lite2", "effnet_lite0"):
        assert build(slug, 64).preprocess.size == 64
        assert build(slug, None).preprocess.size == 224


def stores(folder, part, built):
    return [
        FeatureStore(folder, samples, network=weights_fingerprint(built), width=1280)
        for samples in (part.train, part.test)
    ]


def test_workers_make_the_features_that_the_lesson_makes(
    start,  # noqa: F811
    network,  # noqa: F811
    built,
    data,
    tmp_path,
):
    part, folder = choose_photos(data, share=SHARE), data.features_folder
    done = start(FEATURES, "effnet_lite2", data.folder, *SMALL).result()
    assert done.returncode == 0, done.stderr[-3000:]
    assert_all_stopped(network)
    assert "200 photos, 200 made now by 2 workers" in done.stdout

    extract = Extractor(built)
    for theirs in stores(folder, part, built):
        mine = FeatureStore(
            tmp_path / "here",
            theirs.samples,
            network=weights_fingerprint(built),
            width=1280,
        )
        mine.fill(extract)
        theirs.fill(extract)  # the broken photo alone is tried again
        got, expected = theirs.read(), mine.read()
        assert got.samples == expected.samples
        assert got.skipped == expected.skipped
        for one, other in zip(
            got.features.tensors, expected.features.tensors, strict=True
        ):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)

    # Run again with the end of a file gone, it makes that; with nothing gone, only the
    # broken photo is tried.
    test_file = stores(folder, part, built)[1].file
    test_file.write_bytes(test_file.read_bytes()[: -10 * 4 * 1280])
    done = start(FEATURES, "effnet_lite2", data.folder, *SMALL).result()
    assert "200 photos, 11 made now" in done.stdout, done.stderr[-3000:]
    assert [len(s.missing()) for s in stores(folder, part, built)] == [1, 0]
    assert_all_stopped(network)


def test_it_says_what_is_wrong_before_it_starts(start, data, tmp_path):  # noqa: F811
    tree, out = data.folder, tmp_path / "f"
    cases = {
        "invalid choice": ["squeezenet", tree, out],
        "only effnet_lite2 and effnet_lite0 take": ["vit", tree, out, *SMALL],
        "no folder and no .zip": ["effnet_lite2", tmp_path / "none", out],
        "at most 1": ["effnet_lite2", tree, out, "--share", 7],
    }
    assert_refused(start, FEATURES, cases)
    assert not out.exists()
