"""Store features, train a head, choose its settings by cross-validation.

A frozen base gives a picture the same features every time, so each picture goes through
it once. After that a head trains on stored features in well under a second.
"""

import copy
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import NamedTuple

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

FOLDS = 10


@dataclass(frozen=True)
class Settings:
    """How to train: Adam, its learning rate falling to zero along a half cosine."""

    lr: float = 1e-3  # at the start
    weight_decay: float = 0.0  # strength of Adam's L2 penalty
    epochs: int = 10
    batch_size: int = 32
    label_smoothing: float = 0.0  # Szegedy et al., arXiv 1512.00567; in training alone


# For every head of the lesson. Companion 1 finds it by cross-validation.
HEAD = Settings(lr=1e-2, weight_decay=1e-2)


@dataclass
class Score:
    """Sums over pictures, divided once, at the end: every picture counts alike."""

    loss_sum: float = 0.0
    right: int = 0
    total: int = 0

    @property
    def loss(self) -> float:
        return self.loss_sum / self.total

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor):
        """Count a batch: logits (N, C), labels (N,), loss () their mean."""
        self.loss_sum += loss.item() * len(labels)
        self.right += int((logits.argmax(dim=1) == labels).sum())
        self.total += len(labels)


def pooled(scores: Sequence[Score]) -> Score:
    """The score of all their pictures together."""
    return Score(*map(sum, zip(*map(astuple, scores), strict=True)))


class Epoch(NamedTuple):
    """One epoch's scores; `val` is on pictures not trained on, or None."""

    train: Score
    val: Score | None = None


@dataclass(frozen=True)
class CVResult:
    """A setting, and how cross-validation went with it."""

    settings: Settings
    history: list[Epoch]  # after each epoch, summed over the folds
    logits: Tensor  # of every picture, (N, C), by a head that had not seen it

    @property
    def held_out(self) -> Score:
        """The score after the last epoch, on pictures not trained on."""
        return self.history[-1].val


def store_features(base: nn.Module, loader: DataLoader) -> TensorDataset:
    """Features (N, D), float32, and labels (N,), on the CPU, of every picture once."""
    base = ready(base, "cpu")
    parts = [(features_of(base, pictures), labels) for pictures, labels in loader]
    return TensorDataset(*map(torch.cat, zip(*parts, strict=True)))


def ready(base: nn.Module, device: str | torch.device) -> nn.Module:
    """Put a base where it runs, in the layout of memory that suits convolutions."""
    return base.to(device, memory_format=torch.channels_last).eval()


def features_of(base: nn.Module, pictures: Tensor, *, device="cpu") -> Tensor:
    """Features (N, D), float32, on the CPU, of pictures (N, 3, S, S): `ready` base."""
    on_gpu = torch.device(device).type == "cuda"
    pictures = pictures.to(device, memory_format=torch.channels_last)
    # A GPU calculates in 16 bits where that is safe.
    with torch.inference_mode(), torch.autocast("cuda", enabled=on_gpu):
        features = base(pictures).float().cpu()
    return features.clone()  # made outside inference mode, it may be trained on


@torch.inference_mode()
def milliseconds_a_picture(base: nn.Module, batch_size: int, *, pictures: int) -> float:
    """What a random picture costs in a batch of this size, on the CPU: the median."""
    batch = torch.rand(batch_size, 3, 224, 224)
    batch = batch.contiguous(memory_format=torch.channels_last)
    base, times = ready(base, "cpu"), []
    for _ in range(1 + max(2, pictures // batch_size)):
        start = time.perf_counter()
        base(batch)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[1:]) / batch_size


def feature_loader(features: TensorDataset, *, batch_size=32, seed=None) -> DataLoader:
    """Batches of stored features; shuffled, always alike, when a seed is given."""
    order = range(len(features))
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        order = RandomSampler(features, generator=generator)
    # Whole batches are picked out of the tensors at once: no per-row collating.
    batches = BatchSampler(order, batch_size, drop_last=False)
    return DataLoader(features, sampler=batches, batch_size=None)


def train(
    model: nn.Module, loader: DataLoader, *, settings: Settings, val_loader=None
) -> list[Epoch]:
    """Train, in place, what is not frozen; `val_loader` is scored after every epoch.

    `model` is a head for features (N, D), or a whole model for pictures (N, 3, S, S).
    """
    loss_fn = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    decay, steps = settings.weight_decay, settings.epochs * len(loader)
    optimizer = torch.optim.Adam(weights, settings.lr, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    history = []
    for _ in range(settings.epochs):
        model.train()
        score = Score()
        for inputs, labels in loader:
            logits = model(inputs)
            loss = loss_fn(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            score.add(logits, labels, loss)
        history.append(Epoch(score, val_loader and evaluate(model, val_loader)))
    model.eval()
    return history


@torch.inference_mode()
def evaluate(model: nn.Module, loader: DataLoader) -> Score:
    """Score a head on features or a model on pictures, without training it."""
    model.eval()
    score = Score()
    for inputs, labels in loader:
        logits = model(inputs)
        score.add(logits, labels, nn.functional.cross_entropy(logits, labels))
    return score


def fresh_copy(head: nn.Module) -> nn.Module:
    """A copy with new random weights, whatever the head has learned before."""
    head = copy.deepcopy(head)
    for layer in head.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    return head


def cross_validate(
    head: nn.Module,
    features: TensorDataset,
    *,
    settings: Settings,
    copies=(),
    folds=FOLDS,
    seed=42,
) -> CVResult:
    """Check a fresh copy of a head on each fold; it trains on all the others.

    `copies` are features of changed copies of the same pictures, to train on, too.
    """
    histories, rows, logits = [], [], []
    for held_out, rest in deal(len(features), folds=folds, seed=seed):
        torch.manual_seed(seed)  # dropout draws from the global generator
        fold_head = fresh_copy(head)
        parts = zip(*(each[rest] for each in (features, *copies)), strict=True)
        seen, unseen = TensorDataset(*map(torch.cat, parts)), features[held_out]
        loader = feature_loader(seen, batch_size=settings.batch_size, seed=seed)
        val = feature_loader(TensorDataset(*unseen), batch_size=len(held_out))
        with threadpool_limits(limits=1):  # the steps are too small to share
            history = train(fold_head, loader, settings=settings, val_loader=val)
            logits.append(fold_head(unseen[0]).detach())
        histories.append(history)
        rows.append(held_out)
    of_epochs = (zip(*epochs, strict=True) for epochs in zip(*histories, strict=True))
    history = [Epoch(*map(pooled, scores)) for scores in of_epochs]
    return CVResult(settings, history, torch.cat(logits)[torch.cat(rows).argsort()])


def deal(total: int, *, folds=FOLDS, seed=42) -> Iterator[tuple[Tensor, Tensor]]:
    """Deal pictures into folds; gives each fold's rows, then all the other rows."""
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    folds = min(folds, total)  # there are no more than pictures
    for fold in range(folds):
        held_out = order[fold::folds]
        yield held_out, order[~torch.isin(order, held_out)]


def try_settings(
    head: nn.Module, features: TensorDataset, grid: Iterable[Settings]
) -> list[CVResult]:
    """Cross-validate a head with every setting; lowest held-out loss first."""
    # On a few hundred pictures counts often tie; the loss tells how sure answers were.
    trials = [cross_validate(head, features, settings=settings) for settings in grid]
    return sorted(trials, key=lambda trial: trial.held_out.loss)
