"""Training: what must not change, what must be counted, what must repeat."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from going_modular import engine
from going_modular.engine import (
    Epoch,
    Score,
    Settings,
    cross_validate,
    evaluate,
    feature_loader,
    fresh_copy,
    milliseconds_a_picture,
    store_features,
    train,
)

QUICK = Settings(lr=1e-2, epochs=3, batch_size=5)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def make_head(features=6, classes=3):
    return nn.Sequential(nn.Dropout(0.2), nn.Linear(features, classes))


def make_features(count=23, *, seed=1):
    """Three clouds of points with some overlap: features (N, 6) and labels (N,)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    centres = torch.randn(3, 6, generator=generator)
    noise = torch.randn(count, 6, generator=generator)
    return TensorDataset(centres[labels] + noise, labels)


def snapshot(module):
    """Copies of all parameters and buffers, by name."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(module, before):
    after = module.state_dict()
    assert after.keys() == before.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


# Frozen means frozen


def test_training_on_pictures_leaves_every_bit_of_the_base_as_it_was(lite2, plates):
    model = copy.deepcopy(lite2.model)
    base, head = snapshot(model.base), snapshot(model.head)
    assert any("running_mean" in name for name in base), "there is BatchNorm to watch"
    loader = DataLoader(Subset(plates, range(12)), batch_size=4)
    train(model, loader, settings=Settings(lr=1e-2, epochs=1))
    assert changed(model.base, base) == set()
    assert changed(model.head, head) == set(head), "the head is what learns"


def test_without_evaluation_mode_a_frozen_base_does_change(lite2, plates):
    """The control: the test above can fail."""
    base = copy.deepcopy(lite2.model.base)  # requires_grad is already False
    model = nn.Sequential(base, copy.deepcopy(lite2.model.head))
    before = snapshot(base)
    loader = DataLoader(Subset(plates, range(8)), batch_size=4)
    train(model, loader, settings=Settings(epochs=1))
    names = changed(base, before)
    assert any("running_mean" in name for name in names)
    parameters = {name for name, _ in base.named_parameters()}
    assert not names & parameters, "only the running statistics drift"


# Stored features


def test_a_head_on_stored_features_is_the_whole_model(lite2, plates, stored):
    features, labels = stored.tensors
    assert features.shape == (24, 1280) and not features.requires_grad
    assert torch.equal(labels, plates.tensors[1]), "in the loader's order"
    with torch.inference_mode():
        whole = lite2.model(plates.tensors[0])
        from_features = lite2.model.head(features)
    # Float precision: batches of other sizes add up in another order.
    torch.testing.assert_close(from_features, whole, rtol=1e-5, atol=1e-5)
    assert whole.std(dim=0).min() > 1e-2, "the answers differ from picture to picture"


def test_storing_features_needs_no_evaluation_mode_from_the_caller():
    base = nn.BatchNorm1d(4).train()
    before = snapshot(base)
    pictures = TensorDataset(torch.randn(10, 4, 1, 1), torch.zeros(10))
    model = nn.Sequential(nn.Flatten(), base)
    model.train()
    first = store_features(model, DataLoader(pictures, batch_size=3)).tensors[0]
    again = store_features(model, DataLoader(pictures, batch_size=7)).tensors[0]
    torch.testing.assert_close(first, again)
    assert changed(base, before) == set()


@pytest.mark.parametrize(("batch_size", "batches"), [(1, 6), (4, 2), (64, 2)])
def test_the_cost_of_a_picture_is_the_median_batch_after_a_warm_up(
    batch_size, batches, monkeypatch
):
    shapes = []

    class Base(nn.Module):
        def forward(self, pictures):
            shapes.append(tuple(pictures.shape))
            return pictures.mean(dim=(2, 3))

    seconds = [100.0, 2.0, 4.0, 6.0, 6.0, 6.0, 6.0][: 1 + batches]
    ticks = iter([tick for second in seconds for tick in (0.0, second)])
    monkeypatch.setattr(engine.time, "perf_counter", lambda: next(ticks))
    cost = milliseconds_a_picture(Base(), batch_size, size=8, pictures=6)
    assert shapes == [(batch_size, 3, 8, 8)] * (1 + batches)
    assert cost == pytest.approx(1000 * np.median(seconds[1:]) / batch_size)


# Counting


def uneven():
    """Inputs that are their own logits, 7 pictures: batches of 3, 3 and 1."""
    logits = torch.randn(7, 3) * 2
    labels = logits.argmax(dim=1)
    labels[5:] = (labels[5:] + 1) % 3  # the last two are wrong
    return TensorDataset(logits, labels)


def independent_loss(logits, labels):
    """Cross-entropy of every picture, in NumPy and float64."""
    logits = logits.numpy().astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(labels)), labels.numpy()]


def test_pictures_are_pooled_where_batches_are_unequal():
    pictures = uneven()
    logits, labels = pictures.tensors
    score = evaluate(nn.Identity(), DataLoader(pictures, batch_size=3))
    answers = [int(np.argmax(row)) for row in logits.numpy()]
    hits = [guess == label for guess, label in zip(answers, labels, strict=True)]
    assert (score.right, score.total) == (sum(hits), len(hits)) == (5, 7)
    assert score.accuracy == 5 / 7
    assert score.loss == pytest.approx(independent_loss(logits, labels).mean())
    mean_of_means = np.mean([np.mean(hits[:3]), np.mean(hits[3:6]), np.mean(hits[6:])])
    assert abs(mean_of_means - score.accuracy) > 0.1, "what must not be reported"


def test_the_batch_size_does_not_change_a_score():
    pictures = uneven()
    scores = [evaluate(nn.Identity(), DataLoader(pictures, size)) for size in (1, 2, 7)]
    assert len({(score.right, score.total) for score in scores}) == 1
    assert scores[0].loss == pytest.approx(scores[1].loss)
    assert scores[0].loss == pytest.approx(scores[2].loss)


def test_training_scores_are_pooled_too():
    """With a learning rate of 0 the head stands still, so its scores are known."""
    features, labels = make_features(7).tensors
    head = nn.Linear(6, 3)
    loader = DataLoader(TensorDataset(features, labels), 3)
    (epoch,) = train(head, loader, settings=Settings(lr=0.0, epochs=1))
    with torch.inference_mode():
        logits = head(features)
    assert epoch.train.total == 7 and epoch.val is None
    assert epoch.train.right == int((logits.argmax(1) == labels).sum())
    expected = independent_loss(logits, labels).mean()
    assert epoch.train.loss == pytest.approx(expected, rel=1e-5)


def test_scores_add_up():
    total = Score(2.0, 3, 4) + Score(1.0, 1, 6)
    assert (total.loss, total.accuracy, total.total) == (0.3, 0.4, 10)


def test_evaluating_trains_nothing():
    head, features = make_head(), make_features()
    before = snapshot(head)
    score = evaluate(head.train(), feature_loader(features))
    assert changed(head, before) == set() and not head.training
    assert score == evaluate(head, feature_loader(features)), "no dropout either"


# Loading stored features


def test_stored_features_come_in_order_or_shuffled_by_the_seed():
    features = make_features(23)

    def order(seed):
        loader = feature_loader(features, batch_size=5, seed=seed)
        batches = list(loader)
        assert [len(labels) for _, labels in batches] == [5, 5, 5, 5, 3]
        return torch.cat([inputs for inputs, _ in batches])

    in_order = order(None)
    assert torch.equal(in_order, features.tensors[0])
    assert torch.equal(order(1), order(1)) and not torch.equal(order(1), order(2))
    assert torch.equal(order(1).sort(dim=0).values, in_order.sort(dim=0).values)


def test_every_epoch_has_an_order_of_its_own_and_labels_follow():
    features = TensorDataset(torch.arange(23.0).unsqueeze(1), torch.arange(23))
    loader = feature_loader(features, batch_size=5, seed=1)
    epochs = []
    for _ in range(2):
        inputs, labels = map(torch.cat, zip(*loader, strict=True))
        assert torch.equal(inputs[:, 0].long(), labels)
        epochs.append(labels)
    assert not torch.equal(*epochs)


# Training


def train_once(seed, *, settings=QUICK):
    torch.manual_seed(seed)
    head, features = make_head(), make_features()
    history = train(
        head,
        feature_loader(features, batch_size=5, seed=seed),
        settings=settings,
        val_loader=feature_loader(make_features(9, seed=2)),
    )
    return snapshot(head), history


def test_training_repeats_with_its_seed():
    (weights, history), (again, history_again) = train_once(3), train_once(3)
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert history == history_again
    other, other_history = train_once(4)
    assert not any(torch.equal(weights[name], other[name]) for name in weights)
    assert history != other_history


def test_label_smoothing_spreads_a_share_of_every_label_in_training_alone():
    data, head = make_features(), nn.Linear(6, 3)
    features, labels = data.tensors
    log_probabilities = head(features).log_softmax(dim=1)
    target = torch.full((23, 3), 0.1 / 3)
    target[torch.arange(23), labels] += 0.9
    smoothed = -(target * log_probabilities).sum(dim=1).mean().item()
    settings = Settings(lr=0, epochs=1, label_smoothing=0.1)
    loader = feature_loader(data, batch_size=7)
    (epoch,) = train(head, loader, settings=settings, val_loader=loader)
    assert epoch.train.loss == pytest.approx(smoothed, rel=1e-5)
    plain = -log_probabilities[torch.arange(23), labels].mean().item()
    assert epoch.val.loss == pytest.approx(plain, rel=1e-5)


def test_training_learns():
    _, history = train_once(3, settings=Settings(lr=1e-2, epochs=30, batch_size=5))
    assert history[-1].train.loss < 0.7 * history[0].train.loss
    assert history[-1].train.accuracy > 0.75
    assert [epoch.val.total for epoch in history] == [9] * 30


def test_each_epoch_is_reported_as_it_ends():
    seen = []
    history = train(
        make_head(),
        feature_loader(make_features()),
        settings=QUICK,
        after_epoch=lambda number, epoch: seen.append((number, epoch)),
    )
    assert seen == list(enumerate(history, start=1)) and len(seen) == 3
    assert all(isinstance(epoch, Epoch) for epoch in history)


def test_the_learning_rate_falls_to_zero_along_a_half_cosine(monkeypatch):
    rates = []
    adam_step = torch.optim.Adam.step

    def step(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return adam_step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    settings = Settings(lr=0.5, epochs=2, batch_size=5)
    train(make_head(), feature_loader(make_features(), batch_size=5), settings=settings)
    steps = np.arange(10)  # 2 epochs of 5 batches
    assert rates == pytest.approx(0.25 * (1 + np.cos(np.pi * steps / 10)))


# Cross-validation


class Diary(nn.Module):
    """A head that writes down which pictures it is shown, and when."""

    entries = []

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 3)

    def forward(self, features):
        ids = features[:, 0].round().int().tolist()
        self.entries.append((self, self.training, ids))
        return self.linear(features)


@pytest.mark.parametrize(("count", "folds"), [(23, 5), (20, 10), (6, 6), (4, 10)])
def test_each_picture_is_checked_once_by_a_head_that_never_saw_it(
    count, folds, monkeypatch
):
    monkeypatch.setattr(Diary, "entries", [])
    features = TensorDataset(
        torch.arange(float(count)).unsqueeze(1), make_labels(count)
    )
    settings = Settings(epochs=2, batch_size=4)
    original = Diary()
    trial = cross_validate(original, features, settings=settings, folds=folds)

    trained, checked = {}, {}
    for head, training, ids in Diary.entries:
        (trained if training else checked).setdefault(id(head), []).extend(ids)
    folds = min(folds, count)
    assert len(trained) == len(checked) == folds
    assert id(original) not in trained, "copies train, the original does not"
    everything = list(range(count))
    for head in trained:
        once_an_epoch = sorted(set(trained[head]) | set(checked[head]))
        assert once_an_epoch == everything
        assert not set(trained[head]) & set(checked[head])
        assert len(trained[head]) == settings.epochs * len(set(trained[head]))
    # Every epoch checks every picture once, over all folds together; then its logits
    # are asked for.
    all_checked = sorted(number for ids in checked.values() for number in ids)
    assert all_checked == sorted(everything * (settings.epochs + 1))
    assert [epoch.val.total for epoch in trial.history] == [count] * 2
    assert [epoch.train.total for epoch in trial.history] == [count * (folds - 1)] * 2


def test_copies_are_trained_on_with_their_originals_and_never_checked(monkeypatch):
    """Each picture's number is its feature, and its copies' plus 100 and plus 200."""
    monkeypatch.setattr(Diary, "entries", [])
    numbers, labels = torch.arange(11.0).unsqueeze(1), make_labels(11)
    features = TensorDataset(numbers, labels)
    copies = [TensorDataset(numbers + extra, labels) for extra in (100, 200)]
    settings = Settings(epochs=2, batch_size=4)
    trial = cross_validate(Diary(), features, settings=settings, copies=copies, folds=3)
    trained, checked = {}, {}
    for head, training, ids in Diary.entries:
        (trained if training else checked).setdefault(id(head), []).extend(ids)
    assert len(trained) == len(checked) == 3
    for head, seen in trained.items():
        held_out = set(checked[head])
        assert held_out <= set(range(11)), "originals only"
        rest = set(range(11)) - held_out
        expected = [number + extra for number in rest for extra in (0, 100, 200)]
        assert sorted(seen) == sorted(expected * settings.epochs)
    assert [epoch.val.total for epoch in trial.history] == [11] * 2
    assert [epoch.train.total for epoch in trial.history] == [3 * 11 * 2] * 2
    assert trial.logits.shape == (11, 3)


def test_copies_teach_by_their_own_labels():
    """Outnumbered by copies with other labels, a head learns those."""
    labels = make_labels(30)
    features = TensorDataset(nn.functional.one_hot(labels, 3).float(), labels)
    others = TensorDataset(features.tensors[0], (labels + 1) % 3)
    settings = Settings(lr=0.1, epochs=20)
    for copies, right in (([], 30), ([features], 30), ([others] * 2, 0)):
        trial = cross_validate(
            nn.Linear(3, 3), features, settings=settings, copies=copies, folds=3
        )
        assert trial.held_out.right == right


def make_labels(count):
    return torch.arange(count) % 3


def test_cross_validation_equals_folds_done_by_hand():
    """An independent count: each fold trained and counted picture by picture."""
    features, head = make_features(11), make_head()
    trial = cross_validate(head, features, settings=QUICK, folds=3, seed=8)
    inputs, labels = features.tensors
    dealt = torch.randperm(11, generator=torch.Generator().manual_seed(8)).tolist()
    right = 0
    for fold in range(3):
        held_out = [row for place, row in enumerate(dealt) if place % 3 == fold]
        rest = [row for row in dealt if row not in held_out]
        torch.manual_seed(8)
        mine = fresh_copy(head)
        part = TensorDataset(inputs[rest], labels[rest])
        held = TensorDataset(inputs[held_out], labels[held_out])
        train(
            mine,
            feature_loader(part, batch_size=5, seed=8),
            settings=QUICK,
            val_loader=feature_loader(held),  # a loader, too, draws random numbers
        )
        for row in held_out:
            logits = mine(inputs[row : row + 1])[0]
            torch.testing.assert_close(trial.logits[row], logits)
            right += int(logits.argmax() == labels[row])
    assert (trial.held_out.right, trial.held_out.total) == (right, 11)


def test_a_head_that_knows_the_pictures_already_gains_nothing():
    """Held-out pictures must not be known from training before: heads start anew."""
    features, head = make_features(12), make_head()
    before = cross_validate(head, features, settings=QUICK, folds=3).history
    train(head, feature_loader(features, seed=1), settings=QUICK)
    known = copy.deepcopy(head.state_dict())
    again = cross_validate(head, features, settings=QUICK, folds=3)
    assert again.history == before
    for name, weight in head.state_dict().items():
        assert torch.equal(weight, known[name])


def test_cross_validation_repeats_and_leaves_the_head_alone():
    features, head = make_features(), make_head()
    before = snapshot(head)
    first = cross_validate(head, features, settings=QUICK, folds=4)
    torch.manual_seed(99)  # whatever happened before does not matter
    again = cross_validate(head, features, settings=QUICK, folds=4)
    assert again.history == first.history and torch.equal(again.logits, first.logits)
    other = cross_validate(head, features, settings=QUICK, folds=4, seed=1)
    assert other.history != first.history
    assert changed(head, before) == set()
