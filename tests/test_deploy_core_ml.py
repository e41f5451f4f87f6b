"""deploy/core_ml/: the package's spec, and its steps computed without Apple's hardware.

Core ML itself answers on Apple's systems only, so nothing here asks it.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from converted import FP32, numbers, python_of, run
from drawn_images import drawn_image

from deploy.converting import DEFAULT_MODEL
from deploy.network import Network
from deploy.reference import read_about, read_deployable
from going_modular.app.model import OUTPUTS, ModelMetadata
from going_modular.drawn import CLASS_NAMES

pytestmark = pytest.mark.slow
READ = """
import json, sys
import numpy as np
import coremltools as ct
from google.protobuf.json_format import MessageToDict
from deploy.core_ml.steps import read_program
package, pictures = sys.argv[1:]
spec = ct.models.MLModel(package, skip_model_load=True).get_spec()
run = read_program(package)
answers = [run(picture) for picture in np.load(pictures)]
plain = [
    {k: v if k in ("classLabel", "probabilities") else v.item() for k, v in a.items()}
    for a in answers
]
description = MessageToDict(spec.description)
print(json.dumps({"description": description, "answers": plain}))
"""


@pytest.fixture(scope="module")
def pictures():
    """Drawn plates, (9, 224, 224, 3), as an app hands them over."""
    plates = [(name, number) for name in CLASS_NAMES for number in range(3)]
    return np.stack([drawn_image(*plate, size=(224, 224)) for plate in plates])


@pytest.fixture(scope="module")
def read(pictures, tmp_path_factory):
    """The package's description, and what its steps say of the pictures."""
    python, folder = python_of("coremltools"), tmp_path_factory.mktemp("ml")
    package, saved = folder / "m.mlpackage", folder / "pictures.npy"
    for _ in range(2):  # the second replaces the first
        run(python, "-m", "deploy.core_ml.convert", package)
    assert [path.name for path in folder.iterdir()] == ["m.mlpackage"]
    np.save(saved, pictures)
    printed = run(python, "-c", READ, package, saved)
    return json.loads(printed.splitlines()[-1])


def test_the_spec_says_what_an_app_needs(read):
    said = read["description"]
    image = {"width": "224", "height": "224", "colorSpace": "RGB"}
    (picture,) = said["input"]
    assert picture["name"] == "picture" and picture["type"]["imageType"] == image
    outputs = {each["name"]: each["type"] for each in said["output"]}
    assert set(outputs) == {"classLabel", *OUTPUTS}
    assert "stringKeyType" in outputs["probabilities"]["dictionaryType"]
    for score in OUTPUTS[1:]:
        assert outputs[score]["multiArrayType"]["dataType"] == "FLOAT32"
    assert said["predictedFeatureName"] == "classLabel"
    assert said["predictedProbabilitiesName"] == "probabilities"
    metadata = said["metadata"]
    assert metadata["license"].startswith("MIT") and metadata["versionString"]
    assert "author" not in metadata
    about = ModelMetadata.from_metadata(metadata["userDefined"])
    assert about == replace(read_about(DEFAULT_MODEL), precision="fp32")


@torch.inference_mode()
def test_the_steps_compute_what_the_reference_says(read, pictures):
    """Also that scaling and colours are right: the steps begin at the image."""
    deployable = read_deployable(DEFAULT_MODEL)
    network, how = Network(deployable), deployable.preprocess
    for answer, picture in zip(read["answers"], pictures, strict=True):
        pixels = torch.tensor(picture).permute(2, 0, 1)[None].float()
        probabilities, *scores = network(pixels * how.scale + how.shift)
        assert list(answer["probabilities"]) == list(CLASS_NAMES)
        assert answer["classLabel"] == CLASS_NAMES[int(probabilities.argmax())]
        expected = [*probabilities[0].tolist(), *(score.item() for score in scores)]
        assert numbers(answer) == pytest.approx(expected, abs=FP32)
