"""Write the model as .mlpackage, which Core ML runs on iPhones, iPads and Macs."""

import io
import tempfile
from contextlib import redirect_stderr
from pathlib import Path

import coremltools as ct
import torch

from deploy import reference
from deploy.try_it import TargetResult, versions_of
from going_modular.app.model import OUTPUTS, ModelMetadata
from going_modular.export import quiet
from going_modular.files import LessonError, staged_folder

NAME = "foodvision_mini.mlpackage"
PICTURE, LABEL = "picture", "classLabel"
NOTES = "executorch_debug_handle_mapping.json"  # which no app needs


def write_mlpackage(model: Path, out: Path) -> Path:
    """Write a model file's network in floats of 32 bits, all or nothing.

    The package's name must end in .mlpackage. If the model file is not one of the
    lesson's, if its base scales each colour otherwise, or if the package cannot be
    written, it is a LessonError, and what was there before is as it was.
    """
    about = reference.read_about(model)
    package = _convert(reference.Network(reference.read_deployable(model)), about)
    package.short_description = f"{about.title}: {', '.join(about.class_names)}"
    package.license, package.version = reference.LICENCE, "1.0"
    package.user_defined_metadata.update(about.to_metadata() | {"precision": "fp32"})
    meaning = {LABEL: "The likeliest class"} | reference.descriptions(about)
    package.input_description[PICTURE] = meaning.pop(PICTURE)
    for output, words in meaning.items():
        package.output_description[output] = words
    with staged_folder(out.parent) as folder:
        package.save(str(folder / out.name))
        (folder / out.name / NOTES).unlink(missing_ok=True)
    return out


def _convert(network: reference.Network, about: ModelMetadata) -> ct.models.MLModel:
    if (how := network.deployable.preprocess).scale.numel() > 1:
        raise LessonError(
            "This model's base scales each colour otherwise, and Core ML's images know "
            "one scale only. Take a model with another base."
        )
    # From 0 to 255; Core ML scales the values itself.
    own = {"scale": how.scale.item(), "bias": [how.shift.item()] * 3}
    own["color_layout"] = ct.colorlayout.RGB
    with quiet(), redirect_stderr(io.StringIO()), torch.no_grad():
        traced = torch.export.export(network, (network.example,)).run_decompositions({})
        names = dict(zip(OUTPUTS, traced.graph_signature.user_outputs, strict=True))
        labels = ct.ClassifierConfig(about.class_names, LABEL, names["probabilities"])
        package = ct.convert(
            traced,
            convert_to="mlprogram",
            compute_precision=ct.precision.FLOAT32,
            minimum_deployment_target=ct.target.iOS16,
            inputs=[ct.ImageType(PICTURE, shape=network.example.shape, **own)],
            classifier_config=labels,
        )
    spec = package.get_spec()
    names["probabilities"] = f"{LABEL}_probs"
    for wanted, given in names.items():
        ct.utils.rename_feature(spec, given, wanted, rename_inputs=False)
    weights = {"weights_dir": package.weights_dir, "skip_model_load": True}
    return ct.models.MLModel(spec, **weights)


def try_all(model: Path, photos: list[Path]) -> list[TargetResult]:
    """Convert, and say how large the package is: answers need Apple's hardware."""
    with tempfile.TemporaryDirectory() as folder:
        size = reference.size_of(write_mlpackage(model, Path(folder, NAME)))
    note = "converted; it answers on Apple's systems only"
    versions = versions_of("coremltools torch")
    return [TargetResult("Core ML", versions, size, [], None, "fp32", note)]


if __name__ == "__main__":
    reference.convert_command(write_mlpackage, NAME)
