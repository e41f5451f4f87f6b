"""Training: what must not change, what must be counted, what must repeat."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset, TensorDataset

from going_modular.engine import (
    Settings,
    cross_validate,
    evaluate,
    feature_loader,
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


def unchanged(module, before):
    after = module.state_dict()
    return {name for name in before if torch.equal(before[name], after[name])}


def test_training_on_pictures_leaves_every_bit_of_the_base_as_it_was(lite2, plates):
    model = copy.deepcopy(lite2.model)
    base, head = snapshot(model.base), snapshot(model.head)
    assert any("running_mean" in name for name in base), "there is BatchNorm to watch"
    loader = DataLoader(Subset(plates, range(12)), batch_size=4)
    train(model, loader, settings=Settings(lr=1e-2, epochs=1))
    assert unchanged(model.base, base) == set(base)
    assert unchanged(model.head, head) == set(), "the head is what learns"


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


def test_pictures_are_pooled_where_batches_are_unequal():
    """Seven pictures, which are their own logits, in batches of 3, 3 and 1."""
    logits = 2 * torch.randn(7, 3)
    labels = logits.argmax(dim=1)
    labels[5:] = (labels[5:] + 1) % 3  # the last two are wrong
    pictures = DataLoader(TensorDataset(logits, labels), batch_size=3)
    score = evaluate(nn.Identity(), pictures)
    assert (score.right, score.total) == (5, 7)
    assert score.loss == pytest.approx(F.cross_entropy(logits, labels).item())


def test_stored_features_come_in_order_or_shuffled_by_the_seed():
    features = TensorDataset(torch.arange(23.0).unsqueeze(1), torch.arange(23))

    def epoch(loader):
        batches = list(loader)
        assert [len(labels) for _, labels in batches] == [5, 5, 5, 5, 3]
        inputs, labels = map(torch.cat, zip(*batches, strict=True))
        assert torch.equal(inputs[:, 0].long(), labels)
        return labels.tolist()

    def order(seed):
        return epoch(feature_loader(features, batch_size=5, seed=seed))

    assert order(None) == sorted(order(1)) == list(range(23))
    assert order(1) == order(1) != order(2)
    loader = feature_loader(features, batch_size=5, seed=1)
    assert epoch(loader) != epoch(loader), "every epoch has an order of its own"


def test_label_smoothing_spreads_a_share_of_every_label_in_training_alone():
    data, head = make_features(), nn.Linear(6, 3)
    features, labels = data.tensors
    plain = F.cross_entropy(head(features), labels).item()
    smoothed = F.cross_entropy(head(features), labels, label_smoothing=0.1).item()
    settings = Settings(lr=0, epochs=1, label_smoothing=0.1)
    loader = feature_loader(data, batch_size=7)
    (epoch,) = train(head, loader, settings=settings, val_loader=loader)
    assert epoch.train.loss == pytest.approx(smoothed, rel=1e-5)
    assert epoch.val.loss == pytest.approx(plain, rel=1e-5) != smoothed


class Diary(nn.Linear):
    """A head that writes down which pictures it is shown, and when."""

    entries = []

    def forward(self, features):
        ids = features[:, 0].round().int().tolist()
        self.entries.append((self, self.training, ids))
        return super().forward(features)


@pytest.mark.parametrize(
    ("count", "folds", "extras"), [(23, 5, ()), (4, 10, ()), (11, 3, (100, 200))]
)
def test_each_picture_is_checked_once_by_a_head_that_never_saw_it(
    count, folds, extras, monkeypatch
):
    """Each picture's number is its feature, and its copies' plus 100 and plus 200."""
    monkeypatch.setattr(Diary, "entries", [])
    numbers, labels = torch.arange(float(count)).unsqueeze(1), torch.arange(count) % 3
    features = TensorDataset(numbers, labels)
    copies = [TensorDataset(numbers + extra, labels) for extra in extras]
    options = {"settings": Settings(epochs=2, batch_size=4), "copies": copies}
    original = Diary(1, 3)
    trial = cross_validate(original, features, **options, folds=folds)

    trained, checked = {}, {}
    for head, training, ids in Diary.entries:
        (trained if training else checked).setdefault(head, []).extend(ids)
    folds, everything = min(folds, count), set(range(count))
    assert len(trained) == len(checked) == folds
    assert original not in trained, "copies of the head train"
    for head, seen in trained.items():
        rest = everything - set(checked[head])
        expected = [number + extra for number in rest for extra in (0, *extras)]
        assert sorted(seen) == sorted(expected * 2)
    # Every epoch checks every picture once, over all folds together; then its logits
    # are asked for.
    assert sorted(sum(checked.values(), [])) == sorted([*everything] * 3)
    trained_on = count * (folds - 1) * (1 + len(extras))
    totals = [(epoch.train.total, epoch.val.total) for epoch in trial.history]
    assert totals == [(trained_on, count)] * 2


def test_cross_validation_repeats_whatever_its_head_has_learned():
    """Held-out pictures must not be known from training before: heads start anew."""
    features, head = make_features(), make_head()
    first = cross_validate(head, features, settings=QUICK, folds=4)
    train(head, feature_loader(features, seed=1), settings=QUICK)
    learned = snapshot(head)
    torch.manual_seed(99)  # whatever happened before does not matter
    again = cross_validate(head, features, settings=QUICK, folds=4)
    assert again.history == first.history and torch.equal(again.logits, first.logits)
    assert unchanged(head, learned) == set(learned)
    other = cross_validate(head, features, settings=QUICK, folds=4, seed=1)
    assert other.history != first.history
