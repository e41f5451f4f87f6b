"""Dishes learned afterwards: what a file carries, the head, the file that travels."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from demo_model_fixture import make_model
from drawn_images import drawn_image
from onnx import numpy_helper
from pocket_site import COMMITTED, ROOT, refused_files
from torch.nn import functional as F

from going_modular.app.model import Predictor, open_picture
from going_modular.datasets import find_strangers
from going_modular.export import FEATURES, KNOWN
from going_modular.files import LessonError
from going_modular.stored_features import read_features
from pocket import teaching
from pocket.model_file import ReferenceFeatures, read_known, with_features
from pocket.teaching import TaughtError, TaughtHead, read_taught, taught_table

PHOTOS = 20
OTHERS = read_features(ROOT / "data" / "other_dishes_effnet_lite2_224.npz")
OURS = read_features(ROOT / "data" / "photos_effnet_lite2_224.npz")


@pytest.fixture(scope="module")
def known():
    return read_known(COMMITTED)


@pytest.fixture(scope="module")
def session():
    return onnxruntime.InferenceSession(with_features(COMMITTED))


def some_of(dish: str, count: int = PHOTOS, start: int = 0) -> torch.Tensor:
    """Stored features of training photos of one other dish."""
    rows, labels = OTHERS.train.tensors
    return rows[labels == OTHERS.names.index(dish)][start : start + count]


def test_the_committed_file_carries_its_training_photos(known, session):
    about = Predictor(COMMITTED).about
    assert known.counts == about.reference_counts
    assert known.class_names == about.class_names
    assert known.features.shape == (sum(about.reference_counts), 1280)
    assert known.labels.bincount().tolist() == about.reference_counts
    assert known.features.norm(dim=1).sub(1).abs().max() < 0.01, "but for rounding"
    # A photo resembles those of its class most, so few lie nearest to another one.
    alike = (known.features @ known.features.T).fill_diagonal_(-1)
    nearest = known.labels[alike.topk(5, dim=1).indices].mode(dim=1).values
    assert (nearest == known.labels).float().mean() > 0.85
    # Its features are those that familiarity compares with them.
    names, asked = ["knn_similarity", FEATURES], np.asarray(drawn_image("pizza", 3))
    similarity, features = session.run(names, {"picture": asked})
    unit = F.normalize(torch.from_numpy(features), dim=1)
    ours = (unit @ known.features.T).topk(5).values.mean()
    assert ours.item() == pytest.approx(float(similarity), abs=1e-3)
    floats = onnx.load(COMMITTED)  # a float file carries the same
    columns = numpy_helper.from_array(known.features.T.numpy(), KNOWN)
    floats.graph.initializer.append(columns)
    theirs = read_known(floats)
    assert (theirs.features - known.features).abs().max() < 1e-3


def test_a_file_without_known_features_or_with_others_than_it_says(tmp_path):
    stand_in = make_model(tmp_path / "m.onnx")
    assert read_known(stand_in) is None
    assert with_features(stand_in) == stand_in.read_bytes()
    model = onnx.load(COMMITTED)
    texts = {prop.key: prop.value for prop in model.metadata_props}
    onnx.helper.set_model_props(model, texts | {"reference_counts": "[1, 2, 3]"})
    with pytest.raises(LessonError, match="6 known features, but has 450"):
        read_known(model)
    for node in model.graph.node:  # as in a file that was made before it had names
        for names in (node.input, node.output):
            names[:] = [name.replace(FEATURES, "view") for name in names]
    model.graph.initializer.append(numpy_helper.from_array(np.eye(3), KNOWN))
    with pytest.raises(LessonError, match="names no features.*make it anew"):
        read_known(model)


def test_taught_dishes_are_named_and_little_else_is(known, session):
    """Each is taught alone; then all but it, and few of its photos get their names."""
    pictures = [open_picture(file) for file in find_strangers()]
    rows = [session.run([FEATURES], {"picture": pixels})[0] for pixels in pictures]
    no_food, alone, called = torch.from_numpy(np.concatenate(rows)), [], []
    for dish in OTHERS.names:
        head = TaughtHead(known, {dish: some_of(dish, start=50)})
        alone.append(share_named(head, dish, 0))
        assert (head.find(OURS.test.tensors[0]) == 0).sum() <= 2, dish
        assert (head.find(no_food) == -1).all(), dish
        four = [name for name in OTHERS.names if name != dish]
        head = TaughtHead(known, {name: some_of(name, start=50) for name in four})
        called.append(1 - share_named(head, dish, -1))
        named = [share_named(head, name, place) for place, name in enumerate(four)]
        assert np.mean(named) > 2 * called[-1], f"like it or not: {dish}"
    assert np.mean(alone) >= 0.65 and np.mean(called) <= 0.15


def share_named(head: TaughtHead, dish: str, place: int) -> float:
    return (head.find(OTHERS.test_of(dish)) == place).float().mean().item()


def test_the_table_counts_what_it_says(known):
    few = OTHERS.without("baby back ribs", "beef carpaccio", "beignets")
    ours = known.features[::50]
    right = torch.ones(len(ours), dtype=torch.bool)
    table = taught_table(known, few, ours=ours, right=right, photos=(3, 20), runs=1)
    assert list(table.index) == [0, 3, 20]
    shares = [float(text.rstrip("%")) for text in table["the dish named"][1:]]
    assert shares[0] < shares[1], "more photos, more names"
    assert table["ours still right"][0] == f"{len(ours)} of {len(ours)}"
    alone = taught_table(known, few.without(*few.names), ours=ours, right=right)
    assert list(alone.index) == [0], "nothing to teach, nothing to say"
    one_each = ReferenceFeatures(known.rounded[:2], known.scale[:2], [1, 1], ["a", "b"])
    assert teaching.own_likeness(one_each, 5) == (0.0, 1.0), "nothing to compare with"


def test_a_file_of_taught_dishes_is_read_as_written_or_refused(tmp_path):
    dishes = {"baklava": some_of("baklava", 5), "bibimbap": some_of("bibimbap", 3)}
    file = teaching.write_taught(tmp_path / "taught.json", dishes, model_file=COMMITTED)
    read = read_taught(file, model_file=COMMITTED)
    assert list(read) == list(dishes)
    for name, rows in dishes.items():
        step = rows.abs().amax(dim=1, keepdim=True) / 127
        assert ((read[name] - rows).abs() <= 0.5 * step + 1e-6).all()
    with pytest.raises(TaughtError, match="taught to another model"):
        read_taught(file, model_file=make_model(tmp_path / "other.onnx"))
    with pytest.raises(TaughtError, match="There is no"):
        read_taught(tmp_path / "none.json", model_file=COMMITTED)
    text = file.read_text()
    empty = '"dishes": [{"name": "pho", "photos": []}, '
    hollow = (text.replace('"dishes": [', empty).encode(), "without photos")
    for content, why in [hollow, *refused_files(text).values()]:
        file.write_bytes(content)
        with pytest.raises(TaughtError, match=why):
            read_taught(file, model_file=COMMITTED)
    assert teaching.clean_name("  pho\u202e \n  bo\x00 ") == "pho bo"
    assert teaching.clean_name("x" * 99) == "x" * 40
    assert teaching.clean_name("cre\u0300me") == "cr\u00e8me"
