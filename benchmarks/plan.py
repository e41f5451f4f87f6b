"""How much is measured, and on which pictures."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from going_modular.data_setup import Pictures
from going_modular.datasets import PictureDataset, make_datasets

SEED = 42
TURN = 30  # pictures that one way predicts before the next one has its turn


@dataclass(frozen=True)
class Plan:
    """How often and how long things are measured.

    Attributes:
        threads: For PyTorch and ONNX Runtime alike.
        per_class: Pictures of each class used, in both halves; None takes all.
        epochs: How often training sees every picture.
        training_repeats: Times that both ways of training are gone through.
        batch_sizes: Candidates for storing features.
        batch_pictures: Random pictures spent on each candidate.
        prediction_rounds: Times that every test picture is predicted by every route.
        network_runs: Times that every network is timed alone.
        peak_side: Rows and columns of the matrices behind the peak.
        big_repeats: Times that every size of picture is predicted.
        starts: Times that each app is started.
        own_environments: Whether the apps get environments of their own.
        load_rounds: Times that every number of clients is tried,
        load_seconds: for so long each time,
        load_requests: and with so many requests at most.
        feature_photos: Pictures that every contender gets the features of,
        feature_rounds: so many times.
        head_rows: Rows to train a head of 101 classes on; None takes as many as
            FoodVision Big has.
    """

    threads: int = 2
    per_class: int | None = None
    epochs: int = 10
    training_repeats: int = 2
    batch_sizes: tuple[int, ...] = (1, 4, 8, 16, 32)
    batch_pictures: int = 96
    prediction_rounds: int = 3
    network_runs: int = 120
    peak_side: int = 2048
    big_repeats: int = 5
    starts: int = 5
    own_environments: bool = True
    load_rounds: int = 2
    load_seconds: float = 8.0
    load_requests: int = 2000
    feature_photos: int = 60
    feature_rounds: int = 3
    head_rows: int | None = None


TINY = Plan(
    threads=1,  # a busy machine does not slow one thread down as much
    per_class=2,
    epochs=2,
    training_repeats=1,
    batch_sizes=(1, 4),
    batch_pictures=4,
    prediction_rounds=1,
    network_runs=2,
    peak_side=256,
    big_repeats=1,
    starts=1,
    own_environments=False,
    load_rounds=1,
    load_seconds=0.5,
    load_requests=64,
    feature_photos=3,
    feature_rounds=1,
    head_rows=300,
)


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark.

    Attributes:
        plan: How much is measured.
        pictures: What the networks learn from and are asked about.
        workdir: A temporary folder.
        load_average: Busy processes in the minute before it began.
    """

    plan: Plan
    pictures: Pictures
    workdir: Path
    load_average: float

    def datasets(
        self, transform: Callable | None = None
    ) -> tuple[PictureDataset, PictureDataset]:
        """The training and the test pictures."""
        train, test = make_datasets(self.pictures.folder, transform)
        if self.plan.per_class is not None:
            _keep_few(train, self.plan.per_class)
            _keep_few(test, self.plan.per_class)
        return train, test

    @property
    def class_names(self) -> list[str]:
        return self.datasets()[0].classes


def _keep_few(data: PictureDataset, per_class: int) -> None:
    seen, kept = Counter(), []
    for sample in data.samples:
        seen[sample[1]] += 1
        if seen[sample[1]] <= per_class:
            kept.append(sample)
    data.samples = data.imgs = kept
    data.targets = [label for _, label in kept]


def progress(text: str) -> None:
    """Say what is being measured."""
    print(f"... {text}", flush=True)
