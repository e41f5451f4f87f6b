"""Stored features, strangers, the gate that tells them apart, and evaluation."""

import os
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from drawn_images import copy_few
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from going_modular import evaluation, model_builder
from going_modular import gate as module
from going_modular import stored_features as store
from going_modular.app.model import DISH, Predictor
from going_modular.big.features import find_dishes
from going_modular.datasets import PLACES, find_strangers
from going_modular.drawn import DATA, OTHER_NAMES
from going_modular.files import LessonError
from going_modular.gate import fit_second_head, knn_similarity, make_gate
from going_modular.stored_features import StoredFeatures, find_other_dishes
from tools.model_card import MODEL

WIDE = 16  # features


def dishes(numbers, count, seed=0):
    """Each dish around a place of its own, all features positive."""
    clusters = []
    for number in numbers:
        random = torch.Generator().manual_seed(1000 * number + seed)
        middle = torch.zeros(WIDE)
        middle[2 * number : 2 * number + 2] = 4
        noise = torch.randn(count, WIDE, generator=random)
        clusters.append((middle + noise).abs())
    labels = torch.arange(len(numbers)).repeat_interleave(count)
    return TensorDataset(torch.cat(clusters), labels)


(ROWS, LABELS), OUR_TEST = dishes((0, 1, 2), 40).tensors, dishes((0, 1, 2), 20, seed=1)
NAMES = ["pie", "ribs", "soup"]
HALVES = dishes((3, 4, 5), 30), dishes((3, 4, 5), 15, seed=1)
OTHERS = StoredFeatures(NAMES, *HALVES, torch.ones(WIDE), is_practice=True)
THEIRS = HALVES[0].tensors[0]
HEAD = module.softmax_head(torch.eye(3, 8).repeat_interleave(2, dim=1), torch.zeros(3))
LOGITS = HEAD(ROWS)  # by how much of its own two features each class has


def test_familiarity_is_the_mean_cosine_to_five_others_and_a_line_keeps_its_share():
    torch.manual_seed(0)
    known, rows = torch.randn(40, 8), 3 * torch.randn(6, 8)
    got = knn_similarity(rows, F.normalize(known, dim=1))
    cosines = F.cosine_similarity(rows[:, None].double(), known.double(), dim=2)
    expected = cosines.sort(dim=1).values[:, -5:].mean(dim=1)
    assert got.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    few = knn_similarity(rows, F.normalize(known[:2], dim=1))
    assert few.shape == (6,) and few.max() <= 1, "fewer than five known will do"
    scores = torch.randn(451)
    kept = (scores >= module.threshold_at_tpr(scores, 0.95)).sum()
    assert 0.95 <= kept / 451 < 0.95 + 2 / 451, "less than two pictures more"
    # A picture unlike all others must not pass for being like itself.
    alone = knn_similarity(torch.eye(8), torch.eye(8), leave_out_self=True)
    assert alone.abs().max() < 1e-6


def test_the_second_head_is_a_strict_softmax_regression():
    together = module.signed_sqrt(torch.cat([ROWS, THEIRS]))
    regression = LogisticRegression(C=module.STRENGTH, class_weight="balanced")
    model = make_pipeline(StandardScaler(), regression)
    model.fit(together.numpy(), [*LABELS.tolist(), *[3] * len(THEIRS)])
    head = fit_second_head(ROWS, LABELS, THEIRS)
    expected = model.decision_function(together.numpy())[:, :3]
    assert not head.weight.requires_grad
    assert head(together).numpy() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("others", [THEIRS, torch.empty(0, WIDE)])
def test_each_kind_of_picture_gets_its_verdict(others):
    gate, thresholds = make_gate(ROWS, LABELS, LOGITS, others)
    assert (gate.second_head is None) == (len(others) == 0)
    kinds = OUR_TEST.tensors[0], HALVES[1].tensors[0], -dishes((7,), 20).tensors[0]
    away = []
    for rows in kinds:
        likeness, score = gate(rows, HEAD(rows))
        assert score.min() >= 0 and score.max() <= 1
        is_far = likeness < thresholds.knn_similarity
        by_hand = is_far | (score < thresholds.in_distribution_score)
        assert torch.equal(thresholds.turn_away(likeness, score), by_hand)
        away.append(by_hand.float().mean())
    ours, near, far = away
    assert far == 1 and is_far.all() and ours < 0.2 and (near > 0.9 or not len(others))


def test_scores_that_are_all_alike_make_no_gate_of_nothing():
    rows, two = ROWS[:1].repeat(3, 1), torch.tensor([True, True, False])
    for carried, names in ((None, [0, 1, 2]), (two, [2, 1, 2])):  # some right, none
        labels = torch.tensor(names)
        gate, limits = make_gate(rows, labels, HEAD(rows), carried=carried)
        assert torch.stack(gate(rows, HEAD(rows))).isfinite().all()
        assert np.isfinite([limits.knn_similarity, limits.in_distribution_score]).all()


def test_a_large_file_sets_its_thresholds_by_what_it_does_not_carry():
    labels = torch.tensor([0] * 40 + [1] * 40 + [2] * 5)
    chosen = module.sample_references(labels, per_class=15)
    assert torch.bincount(labels[chosen]).tolist() == [15, 15, 2], "half is left"
    assert torch.equal(chosen, module.sample_references(labels, per_class=15))
    assert module.sample_references(torch.tensor([0, 0, 1])).tolist()[2], "an only one"
    with pytest.raises(ValueError, match="at least two"):
        module.sample_references(torch.tensor([0, 1]))
    carried = module.sample_references(LABELS, per_class=10)
    gate, thresholds = make_gate(ROWS, LABELS, LOGITS, carried=carried)
    assert torch.equal(gate.known, F.normalize(ROWS[carried], dim=1))
    scores = gate(ROWS[~carried], LOGITS[~carried])
    kept = 1 - thresholds.turn_away(*scores).float().mean()
    assert module.KEPT - 0.03 <= kept <= module.KEPT + 0.03


def rows_of(features):
    return {tuple(row) for row in features.tolist()}


def test_no_picture_sets_a_threshold_by_a_head_that_has_seen_it(monkeypatch):
    spy = Mock(wraps=fit_second_head)
    monkeypatch.setattr(module, "fit_second_head", spy)
    make_gate(ROWS, LABELS, LOGITS, THEIRS)
    seen = [rows_of(call.args[0]) for call in spy.call_args_list]
    whole, *folds = sorted(seen, key=len, reverse=True)
    left_out = [whole - fold for fold in folds]
    assert list(map(len, left_out)) == [12] * 10
    assert set.union(*left_out) == whole == rows_of(ROWS)


def test_a_dish_is_judged_by_a_gate_that_has_not_met_it(monkeypatch):
    spy = Mock(wraps=make_gate)
    monkeypatch.setattr(module, "make_gate", spy)
    ours, test = TensorDataset(ROWS, LABELS), OUR_TEST.tensors[0]
    judged = module.leave_one_dish_out(ours, LOGITS, OTHERS, head=HEAD, test=test)
    assert list(judged) == NAMES and spy.call_count == 3
    for number, call in enumerate(spy.call_args_list):
        met = rows_of(THEIRS[HALVES[0].tensors[1] != number])
        assert rows_of(call.args[3]) == met
    for unmet in judged.values():
        pairs = [a > b for a in unmet.our_rank for b in unmet.rank]
        found = module.auroc(unmet.our_rank, unmet.rank)
        assert found == pytest.approx(np.mean(pairs), abs=0.01)
    table = module.unmet_table(judged)
    assert table.loc["ribs", "turned away"] == f"{judged['ribs'].away} of 15"
    assert 0 <= module.unmet_auroc(judged) <= 1


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_temperature_is_found_changes_no_answer_and_lowers_the_error(temperature):
    """Of logits whose probabilities are true once divided by it."""
    random = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4000, 3, generator=random)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=random)[:, 0]
    logits *= temperature
    found = evaluation.fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.06)
    before = logits.softmax(dim=1)
    after = evaluation.held_out_probabilities(logits, labels)
    assert torch.equal(before.argmax(dim=1), after.argmax(dim=1))
    tables = [evaluation.reliability(p, labels) for p in (before, after)]
    first, second = map(evaluation.expected_calibration_error, tables)
    assert first > 0.08 and second < 0.03
    logits, labels = logits[:40], labels[:40]
    before = evaluation.held_out_probabilities(logits, labels)
    labels[7] = (labels[7] + 1) % 3
    after = evaluation.held_out_probabilities(logits, labels)
    assert torch.equal(before[7], after[7]), "it does not help to fit its own"
    assert (before != after).any(dim=1).sum() == 36  # all but its own fold of four


def test_bins_count_and_average_what_is_in_them():
    sure = torch.tensor([1.0, 0.92, 0.94, 0.55, 0.59, 0.61])
    labels = torch.tensor([0, 0, 1, 0, 0, 1])
    table = evaluation.reliability(torch.stack([sure, 1 - sure], dim=1), labels)
    assert table.index.tolist()[:3] == ["50% to 60%", "60% to 70%", "90% to 95%"]
    counted = table[["total", "right", "share"]].to_numpy().tolist()
    assert counted == [[2, 2, 1], [1, 0, 0], [2, 1, 0.5], [1, 1, 1]]
    assert table.said.tolist() == pytest.approx([0.57, 0.61, 0.93, 1], abs=1e-6)
    assert (table.low <= table.share).all() and (table.share <= table.high + 1e-9).all()
    by_hand = (2 * 0.43 + 1 * 0.61 + 2 * 0.43 + 0) / 6
    found = evaluation.expected_calibration_error(table)
    assert found == pytest.approx(by_hand, abs=1e-6)


def test_strangers_come_from_every_package_once_and_the_model_lets_none_in():
    found, predictor = find_strangers(), Predictor(MODEL)
    assert set(found.values()) == set(PLACES) and len(found) >= 25
    assert len({file.read_bytes() for file in found}) == len(found)
    verdicts = [predictor.predict(file).verdict for file in found]
    assert sum(verdict != DISH for verdict in verdicts) >= 0.95 * len(verdicts)


def some_dishes(probe):
    features = torch.arange(6.0 * len(probe)).reshape(6, -1)
    half = TensorDataset(features, torch.tensor([0, 0, 1, 2, 2, 2]))
    return StoredFeatures(NAMES, half, half, probe, is_practice=False)


def test_features_are_read_back_and_a_file_that_is_not_whole_is_told(tmp_path):
    before = some_dishes(torch.ones(8))
    file = store.write_features(before, tmp_path / "a.npz")
    after = store.read_features(file)
    assert after.names == before.names and after.is_practice is False
    for half in ("train", "test"):
        mine, theirs = getattr(before, half).tensors, getattr(after, half).tensors
        torch.testing.assert_close(theirs, mine, rtol=0, atol=0)
    for spoil in (
        Path.unlink,
        lambda file: file.write_bytes(file.read_bytes()[:-200]),
        lambda file: file.write_text("no numbers"),
        lambda file: np.savez(file, names=np.array([{"code": "runs"}])),
        lambda file: np.savez(file, something=np.zeros(3)),
    ):
        spoil(store.write_features(before, file))
        with pytest.raises(LessonError, match="store_features"):
            store.read_features(file)


def test_features_are_only_for_the_base_that_made_them(tmp_path, lite2):
    width, probe = lite2.model.head[-1].in_features, store.probe_features(lite2)
    mine, place = some_dishes(probe), {"data_dir": tmp_path, "ours": ["pie"]}
    assert find_other_dishes(lite2, "lite2", **place).names == []
    store.write_features(mine, tmp_path / "other_dishes_lite2_224.npz")
    assert find_other_dishes(lite2, "lite2", **place).names == ["ribs", "soup"]
    larger = model_builder.build_effnet_lite2(3, input_size=260)
    store.write_features(mine, tmp_path / "other_dishes_lite2_260.npz")
    nobody = find_other_dishes(larger, "lite2", **place)
    assert nobody.names == [] and nobody.train.tensors[0].shape == (0, width)
    assert not store.is_same(torch.ones(3), probe), "nor by another width"


@pytest.mark.parametrize("slug", ["effnet_lite2", "effnet_lite0"])
def test_the_committed_features_are_of_five_dishes_by_the_lessons_bases(slug):
    file = DATA / f"other_dishes_{slug}_224.npz"
    stored = store.read_features(file)
    assert len(stored.names) == 5 and "baklava" in stored.names
    assert (len(stored.train), len(stored.test)) == (750, 375)
    assert not {"pizza", "steak", "sushi"} & set(stored.names)
    (contender,) = (c for c in model_builder.CONTENDERS if c.slug == slug)
    assert store.is_same(stored.probe, store.probe_features(contender.build(3)))
    assert file.stat().st_size < 2.5e6


def test_drawn_plates_stand_in_for_photos(lite2, tmp_path, monkeypatch):
    copy_few(tmp_path / "other_dishes", train=2, test=1, names=OTHER_NAMES)
    monkeypatch.setattr(store, "drawn_pictures", lambda: tmp_path)
    drawn = find_other_dishes(lite2, "lite2", tmp_path, ours=["soup"], is_practice=True)
    assert drawn.names == ["fried eggs", "noodles", "pancakes", "salad"]
    assert store.is_same(drawn.probe, store.probe_features(lite2))
    assert (len(drawn.train), len(drawn.test)) == (8, 4)
    assert drawn.label == "drawn pictures"


def test_eight_real_dishes_come_with_the_course(lite2, monkeypatch):
    monkeypatch.delenv("FOODVISION_BIG", raising=False)
    eight = find_dishes(lite2, "effnet_lite2")
    assert eight.names == sorted(eight.names) and len(eight.names) == 8
    assert (len(eight.train), len(eight.test)) == (1_200, 525)
    assert eight.where == "real photos of 8 dishes" and not eight.is_practice
    assert not eight.photos and not eight.is_whole
    seven = eight.without("baklava")
    assert "baklava" not in seven.names and len(seven.names) == 7
    assert seven.train.tensors[1].unique().tolist() == list(range(7))
    for what, dish in (("photos", "sushi"), ("other_dishes", "bibimbap")):
        own = store.read_features(DATA / f"{what}_effnet_lite2_224.npz").test_of(dish)
        for found in (eight, seven):
            rows, labels = found.test.tensors
            assert torch.equal(rows[labels == found.names.index(dish)], own)


def test_another_base_has_the_drawn_pictures_row_by_row(lite2, tmp_path, monkeypatch):
    monkeypatch.setenv("FOODVISION_BIG", "")
    few = find_dishes(lite2, "another", tmp_path, share=0.01)
    assert few.is_practice and "drawn" in few.where
    assert (len(few.train), len(few.test)) == (16, 8)
    for half in ("train", "test"):
        labels = getattr(few, half).tensors[1].tolist()
        folders = [file.parent.name.replace("_", " ") for file in few.photos[half]]
        assert folders == [few.names[label] for label in labels]
    assert os.listdir(tmp_path / "drawn-food-101-features")
