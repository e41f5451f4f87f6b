"""What companions start from: the model file, its parts, and visitors with thumbs.

It works on the reader's own, as a run of the lesson leaves them, if they belong
together; else on the committed ones, which were made from real photos.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from going_modular import engine
from going_modular import stored_features as stores
from going_modular.app.model import DISH, Answer, ModelMetadata, Predictor
from going_modular.export import Deployable
from going_modular.feedback import Feedback
from going_modular.files import LessonError
from going_modular.gate import Thresholds
from going_modular.model_builder import CONTENDERS, Built
from going_modular.notebook_tools import set_seeds

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "models" / "foodvision_mini.onnx"
OWN = ROOT / "demos" / "foodvision_mini" / "foodvision_mini.onnx"
# The four things that can happen to a picture: was the guess right, and was it shown?
FATES = ("let through", "turned away")
OUTCOMES = tuple(f"{guess}, {fate}" for guess in ("right", "wrong") for fate in FATES)


class Mini(NamedTuple):
    """FoodVision Mini, as a file and in parts."""

    file: Path
    predictor: Predictor  # its `about` has what the file says about itself
    slug: str  # the network's name in file names
    built: Built  # the network; its head is trained on `photos.train`
    photos: stores.StoredFeatures  # of our pictures; `photos.label` says what they are
    others: stores.StoredFeatures  # of other dishes
    cv: engine.CVResult  # its logits are of every training picture, by a head new to it


def open_mini(*, needs_others: bool = False) -> Mini:
    """Find the model and its features, train its head, and say which model it is."""
    own = _open(OWN, ROOT / "models") if OWN.exists() else None
    if own and needs_others and not own.others.names:
        print("No features of other dishes fit your own model.")
        own = None
    mini = own or _open(COMMITTED, ROOT / "data")
    if mini is None:
        raise LessonError(
            "The features in data/ are not those of models/foodvision_mini.onnx. "
            "Fetch the course's files again: git restore data models"
        )
    _say_which(mini.file, mini.predictor, mini.photos.label)
    return mini


def open_file(*, own: bool = True) -> tuple[Path, Predictor]:
    """Find the model file alone: the committed one, or the reader's own if `own`."""
    file = OWN if own and OWN.exists() else COMMITTED
    predictor = Predictor(file)
    _say_which(file, predictor, predictor.about.trained_on)
    return file, predictor


def _say_which(file: Path, predictor: Predictor, pictures: str) -> None:
    about, whose = predictor.about, "your own" if file == OWN else "the committed"
    print(f"Model: {whose} {file.relative_to(ROOT).as_posix()}, {about.contender},")
    print(f"       {', '.join(about.class_names)}; {pictures}")


def _open(file: Path, features_folder: Path) -> Mini | None:
    """A model file with its parts; None if there are no features that belong to it."""
    predictor = Predictor(file)
    about = predictor.about
    contender = next(c for c in CONTENDERS if c.name == about.contender)
    if contender.rehearses():
        return None
    size = {"input_size": about.input_size} if contender.takes_size else {}
    names, slug = about.class_names, contender.slug
    built = contender.build(len(names), **size)
    photos = stores.find_features(built, slug, features_folder, what="photos")
    if photos is None or photos.names != names:
        return None
    others = stores.find_other_dishes(built, slug, ROOT / "data", ours=names)
    head = train_head(built, photos)
    cv = engine.cross_validate(head, photos.train, settings=engine.HEAD)
    return Mini(file, predictor, slug, built, photos, others, cv)


def train_head(built: Built, photos: stores.StoredFeatures) -> torch.nn.Module:
    """Train a network's head on stored features, in place, as the lesson does."""
    set_seeds(42)
    built.model.head = engine.fresh_copy(built.model.head)
    loader = engine.feature_loader(photos.train, seed=42)
    engine.train(built.model.head, loader, settings=engine.HEAD)
    return built.model.head


def named_by(deployable: Deployable, facts: dict, features: Tensor) -> Tensor:
    """The class (N,) that a model names for features (N, D), or -1: turned away."""
    limits = facts["knn_similarity_threshold"], facts["in_distribution_threshold"]
    with torch.inference_mode():
        probabilities, *scores = deployable.answer(features)
        away = Thresholds(*limits).turn_away(*scores)
        return probabilities.argmax(dim=1).masked_fill(away, -1)


def keep_features(
    built: Built,
    slug: str,
    class_names: list[str],
    halves: Sequence[TensorDataset],
    folder: Path,
    *,
    is_practice: bool,
) -> Path:
    """Keep the features of the reader's pictures, so that companions work on them.

    `halves` are features and labels of the training and the test pictures.
    """
    probes = stores.probe_features(built)
    stored = stores.StoredFeatures(class_names, *halves, probes, is_practice)
    file = stores.features_file(folder, "photos", slug, built.preprocess.size)
    return stores.write_features(stored, file)


def answers_of(about: ModelMetadata, scores: Iterable[Tensor]) -> list[Answer]:
    """The app's answers, where there are only the scores of `Deployable.answer`."""
    rows = zip(*(score.tolist() for score in scores), strict=True)
    return [about.answer(*row) for row in rows]


def give_thumbs(feedback: Feedback, visits: Iterable[tuple]) -> list[str]:
    """Let visitors say whether their answers were right.

    A visit is an answer and the dish that was on the picture; None stands for no dish
    of ours. Returns for each visit one of `OUTCOMES`, which an app never knows.
    """
    outcomes = []
    for answer, dish in visits:
        guess, _ = answer.best
        passed = answer.verdict == DISH
        feedback.add(answer, up=(guess if passed else None) == dish)
        outcomes.append(OUTCOMES[2 * (guess != dish) + (not passed)])
    return outcomes


def read_feedback(file: Path) -> pd.DataFrame:
    """What an app noted, oldest first: a row a thumb, by the columns of its table."""
    if not file.is_file():
        raise FileNotFoundError(f"No feedback at {file}: has anyone used the app?")
    with closing(sqlite3.connect(file)) as database:
        table = pd.read_sql("SELECT * FROM thumbs ORDER BY id", database)
    return table.drop(columns="id").assign(time=pd.to_datetime(table.time, utc=True))
