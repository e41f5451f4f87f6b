"""Models saved and loaded without harm."""

from pathlib import Path

import pytest
import torch
from test_model_builder import Touches
from torch import nn

from going_modular import engine
from going_modular.files import FileError
from going_modular.model_builder import (
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)


def same_weights(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


@pytest.fixture
def saved(tmp_path):
    """A saved model: the model and its file."""
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    return model, save_checkpoint(model, tmp_path / "models" / "m.pth")


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_a_saved_model_comes_back(saved):
    model, file = saved
    fresh = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    assert not same_weights(fresh, model)
    assert load_checkpoint(fresh, file) is fresh and same_weights(fresh, model)
    assert names(file.parent) == ["m.pth"]


def test_saving_again_replaces(saved):
    _, file = saved
    other = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    save_checkpoint(other, file)
    fresh = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    assert same_weights(load_checkpoint(fresh, file), other)


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: unexpected pos"),
    ],
)
def test_a_full_disk_keeps_the_old_file_and_leaves_no_part(error, saved, monkeypatch):
    model, file = saved
    before = file.read_bytes()

    def fill_up(_, part):
        Path(part).write_bytes(b"half of it")
        raise error

    monkeypatch.setattr(engine.torch, "save", fill_up)
    with pytest.raises(FileError, match="could not be written.*Make room") as seen:
        save_checkpoint(model, file)
    assert str(file) in str(seen.value)
    assert file.read_bytes() == before and names(file.parent) == ["m.pth"]


def test_an_interrupted_save_keeps_the_old_file(saved, monkeypatch):
    model, file = saved
    before = file.read_bytes()

    def interrupt(_, part):
        Path(part).write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(engine.torch, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(model, file)
    assert file.read_bytes() == before and names(file.parent) == ["m.pth"]


def test_a_file_that_cannot_be_replaced_is_an_error(tmp_path):
    (tmp_path / "m.pth").mkdir()
    with pytest.raises(FileError, match="could not be written"):
        save_checkpoint(nn.Linear(2, 2), tmp_path / "m.pth")
    assert names(tmp_path) == ["m.pth"]


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(FileError, match="could not be written.*folder"):
        save_checkpoint(nn.Linear(2, 2), tmp_path / "models" / "m.pth")
    assert names(tmp_path) == ["models"]


def test_a_missing_checkpoint_says_how_to_make_it(tmp_path):
    with pytest.raises(CheckpointError, match="is not there.*section 2") as seen:
        load_checkpoint(nn.Linear(2, 2), tmp_path / "m.pth")
    assert str(tmp_path / "m.pth") in str(seen.value)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_torn_checkpoint_is_named(kept, saved):
    model, file = saved
    body = file.read_bytes()
    file.write_bytes(body[: int(kept * len(body))])
    with pytest.raises(CheckpointError, match="does not hold this model.*Delete it"):
        load_checkpoint(model, file)
    assert file.exists(), "never deleted silently"


def test_another_models_checkpoint_is_refused(saved):
    _, file = saved
    with pytest.raises(CheckpointError, match="does not hold this model"):
        load_checkpoint(nn.Linear(4, 8), file)


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_checkpoint_that_would_run_code_is_refused(is_zip, tmp_path):
    file, evil = tmp_path / "m.pth", Touches(tmp_path / "ran")
    torch.save(evil, file, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(CheckpointError, match="does not hold this model"):
        load_checkpoint(nn.Linear(2, 2), file)
    assert not (tmp_path / "ran").exists()
    torch.load(file, weights_only=False)  # the file is live: this does run it
    assert (tmp_path / "ran").exists()
