"""Put together the demo that runs in the visitor's own browser.

It is a folder of plain files: any web server can serve it, and none sees a picture.
"""

import gzip
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import onnx

from going_modular.app import model as app
from going_modular.demo_folder import DeployError, copy_shown, shown_suffix
from going_modular.export import metadata_of
from going_modular.files import FileError, file_sha256, staged_folder
from going_modular.gate import STRENGTH
from pocket.convert import tflite_of
from pocket.model_file import (
    KNOWN_FILE,
    ConvertError,
    ReferenceFeatures,
    preparation_of,
    read_known,
    with_features,
)
from pocket.runtimes import BUILDS, LITE_RT, MODEL, ORT_WEB, TFLITE, Engine, packed
from pocket.teaching import MARGIN, NEAREST, RULES, own_likeness

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "demos" / "foodvision_pocket"
VENDOR = "vendor"
ENGINE_FILES = sorted({file.name for file in HERE.glob("engines/*/*")})
SOURCES = ("README.md", "*.css", "*.html", "*.js", "*.svg", "*.webmanifest")
SOURCES = [file.name for kind in SOURCES for file in PAGE.glob(kind)]
PAGE_FILES = (".gitattributes", *sorted({*SOURCES} - {*ENGINE_FILES}))
NOT_SHOWN = (".gitattributes", "README.md", "sw-remove.js", "sw.js")  # beside the page


def fill_first_page(model_file: Path, folder: Path) -> Path:
    """Put beside the reader's own index.html what it loads.

    That is the model, facts.json (class names as people read them, and both thresholds)
    and the two files of ONNX Runtime Web, by the names that npm gives. Where those
    cannot be had, a sentence says why: the page cannot run then.
    """
    about = app.ModelMetadata.from_metadata(metadata_of(onnx.load(model_file)))
    facts = {
        "names": [app.spoken(name) for name in about.class_names],
        "knn_similarity": about.knn_similarity_threshold,
        "in_distribution_score": about.in_distribution_threshold,
    }
    with staged_folder(folder) as part:
        shutil.copyfile(model_file, part / model_file.name)
        (part / "facts.json").write_text(json.dumps(facts), "utf-8")
        try:
            vendored = ORT_WEB.fetch()
            for name, kept in ORT_WEB.packages[0].files.items():
                content = (vendored / kept).read_bytes()
                unpacked = gzip.decompress(content) if kept.endswith(".gz") else content
                (part / Path(name).name).write_bytes(unpacked)
        except FileError as reason:
            print(f"The page cannot run this time: {reason}")
    return Path(folder)


def choose_engine(model: Path | onnx.ModelProto) -> tuple[Engine, bytes, str]:
    """The engine for a model, LiteRT if it can be written so; its content; and why."""
    try:
        content = as_carried(model, LITE_RT)
    except ConvertError as reason:
        return ORT_WEB, as_carried(model, ORT_WEB), str(reason)
    return LITE_RT, content, "Every step of the model can be written for LiteRT."


def as_carried(model: Path | onnx.ModelProto, engine: Engine) -> bytes:
    """A model's content as an engine reads it, with its features as an output more."""
    if engine is ORT_WEB:
        return with_features(model)
    return tflite_of(model, with_features=True)


def write_pocket(
    model_file: Path,
    folder: Path,
    *,
    examples: Sequence[Path] = (),
    engine: Engine | None = None,
) -> Path:
    """Write the complete browser demo around a model, all or nothing.

    Files of the same names are replaced; examples, models and engines of an earlier run
    are removed. `examples` are pictures that the page offers to try, in this order.
    Without an engine, LiteRT runs the model if it can be written for it; if it cannot
    and `engine` is LiteRT, that is a ConvertError. A model that is missing or says too
    little about itself is a DeployError; what npm or the disk refuses, a FileError.
    """
    model_file, folder = Path(model_file), Path(folder)
    model, about = _read(model_file)
    chosen = (engine, as_carried(model, engine)) if engine else choose_engine(model)[:2]
    engine, content = chosen
    fetched, known, file = engine.fetch(), read_known(model), engine.starts_with[1]
    about |= {"file": file, "starts_with": engine.starts_with}
    if engine is LITE_RT:
        about["preparation"] = asdict(preparation_of(model))
    if known:
        about["teaching"] = _teaching(known)
    # Times of change are not copied: servers go by them, and an older engine would not
    # get past a newer one that is stored.
    how = {"copy_function": shutil.copyfile, "dirs_exist_ok": True}
    parts = {engine.code: "", fetched: VENDOR, HERE / "icons": "icons"}
    with staged_folder(folder) as part:
        for name in PAGE_FILES:
            shutil.copyfile(PAGE / name, part / name)
        for source, place in parts.items():
            shutil.copytree(source, part / place, **how)
        (part / file).write_bytes(packed(content, file))
        if known:
            numbers = known.rounded.tobytes() + known.scale.astype("<f4").tobytes()
            (part / KNOWN_FILE).write_bytes(packed(numbers, KNOWN_FILE))
        (part / "examples").mkdir()
        about["examples"] = []
        for number, picture in enumerate(examples, start=1):
            name = f"examples/{number}{shown_suffix(picture).lower()}"
            copy_shown(picture, part / name)
            about["examples"].append(name)
        (part / "model.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
        listed = json.dumps(_list_files(part), indent=2)
        (part / "files.json").write_text(f"{listed}\n", "utf-8")
        new = {path.relative_to(part) for path in part.rglob("*")}
    kinds = ("examples/*", f"{VENDOR}/*", MODEL, TFLITE, KNOWN_FILE, *ENGINE_FILES)
    made_here = {path for kind in kinds for path in folder.glob(kind) if path.is_file()}
    kept = {folder / path for path in new}
    for old in (old for old in made_here - kept if not old.samefile(model_file)):
        old.unlink()
    return folder


def _teaching(known: ReferenceFeatures) -> dict:
    """What the page must know to teach."""
    # by how many photos a dish has; more than half of ours make no difference
    counts = range(1, max(1, max(known.counts) // 2) + 1)
    return {
        "file": KNOWN_FILE,
        "dimensions": known.rounded.shape[1],
        "counts": known.counts,
        "strength": STRENGTH,
        "nearest": NEAREST,
        "margin": MARGIN,
        "likeness": [own_likeness(known, count) for count in counts],
        **RULES,
    }


def _read(model_file: Path) -> tuple[onnx.ModelProto, dict]:
    """A model, and what a browser must know about it and cannot read from its file."""
    if not model_file.is_file():
        raise DeployError(f"There is no model {model_file}: run the cells that make it")
    try:
        model = onnx.load(model_file, load_external_data=False)
        about = app.ModelMetadata.from_metadata(metadata_of(model))
    except Exception as error:  # protobuf's errors have no base of their own
        raise DeployError(
            f"{model_file} is not a model that the lesson made ({error!r}). If it is a "
            "Git LFS pointer, run: git lfs pull"
        ) from error
    return model, {"sha256": file_sha256(model_file), **asdict(about), **app.CONTRACT}


def first_visit(folder: Path) -> dict[str, int]:
    """What a visitor's browser fetches and keeps, with sizes in bytes, largest first.

    Of LiteRT's `BUILDS` a browser fetches one, most of them the first.
    """
    sizes = json.loads((Path(folder) / "files.json").read_text("utf-8"))["files"]
    other = tuple(f"{VENDOR}/litert_{name}." for name in BUILDS[1:])
    used = {name: size for name, size in sizes.items() if not name.startswith(other)}
    return dict(sorted(used.items(), key=lambda pair: -pair[1]))


def _list_files(folder: Path) -> dict:
    """What a visitor's browser keeps: "files" with sizes, and "version" of them all."""
    digest, sizes = hashlib.sha256(), {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name} {file_sha256(path)}\n".encode())
        if name not in NOT_SHOWN and path.suffix not in (".txt", ".wat"):
            sizes[name] = path.stat().st_size
    return {"version": digest.hexdigest()[:16], "files": sizes}
