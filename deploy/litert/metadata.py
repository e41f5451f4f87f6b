"""Write into a .tflite file what it expects and what its outputs mean.

ML Kit and others read the buffer `TFLITE_METADATA`, tables by `metadata_schema.fbs` of
TensorFlow Lite Support, and the classes' names, a zip after the model's own end.
"""

import io
import zipfile

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.number_types import Int8Flags, Uint8Flags, Uint32Flags

from deploy.reference import LICENCE, descriptions
from going_modular.app.model import ModelMetadata
from going_modular.model_builder import Preprocess
from pocket.convert import IDENTIFIER
from pocket.model_file import Preparation

LABELS = "labels.txt"
# From the schema, where each kind of content has a number.
RGB, LABELS_OF_AXIS = (Int8Flags, 1), (Int8Flags, 2)
IMAGE, FEATURE, NORMALIZATION = (Uint8Flags, 2), (Uint8Flags, 1), (Uint8Flags, 1)


def with_metadata(
    content: bytes, about: ModelMetadata, how: Preparation | Preprocess, outputs: tuple
) -> bytes:
    """Add metadata and labels to a .tflite file's content, and name its outputs.

    Only as many are given out as there are names. `how` says how an app scales values
    from 0 to 255, with one pair of numbers for all channels, or one for each.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    graph, (signature,) = model.subgraphs[0], model.signatureDefs
    graph.outputs = graph.outputs[: len(outputs)]
    names = dict(zip(graph.outputs, outputs, strict=True))
    signature.outputs = [one for one in signature.outputs if one.tensorIndex in names]
    names[graph.inputs[0]] = "picture"
    for one in [*signature.inputs, *signature.outputs]:
        one.name = names[one.tensorIndex]
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, _tables(about, how, outputs)), b"M001")
    entry = schema.MetadataT(name="TFLITE_METADATA", buffer=len(model.buffers))
    data = np.frombuffer(bytes(builder.Output()), np.uint8)
    model.buffers.append(schema.BufferT(data=data))
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    labels = io.BytesIO()  # offsets count from the zip's own start; readers know that
    with zipfile.ZipFile(labels, "w") as archive:  # stored: readers map it from disk
        # Dated 1980, or the same model would make another file each time.
        archive.writestr(zipfile.ZipInfo(LABELS), "\n".join(about.class_names) + "\n")
    return bytes(builder.Output()) + labels.getvalue()


def _tables(about: ModelMetadata, how: Preparation | Preprocess, outputs: tuple):
    """The metadata: a table is its fields, by their number in the schema."""
    size, meaning = (Uint32Flags, about.input_size), descriptions(about)
    # An app computes (value - mean) / std. Rounded to 32 bits it was not quite 127.5.
    scale, shift = np.ravel(how.scale), np.ravel(how.shift)
    mean, std = (-shift / scale).round(3).tolist(), (1 / scale).round(3).tolist()
    picture = {
        0: "picture",
        1: meaning["picture"],
        3: {0: IMAGE, 1: {0: RGB, 1: {0: size, 1: size}}},
        4: [{0: NORMALIZATION, 1: {0: mean, 1: std}}],
    }
    scores = [{0: name, 1: meaning[name], 3: {0: FEATURE, 1: {}}} for name in outputs]
    scores[0] |= {0: "probability", 6: [{0: LABELS, 2: LABELS_OF_AXIS}]}
    return {
        0: about.title,
        1: f"Tells {', '.join(about.class_names)} from each other",
        3: [{2: [picture], 3: scores}],
        5: LICENCE,
        7: "1.0.0",  # the oldest reader that knows all of this
    }


def _write(builder: flatbuffers.Builder, value: object) -> int:
    """Write a table behind its parts; where it stands. Pairs are numbers with kinds."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, list) and isinstance(value[0], float):
        return builder.CreateNumpyVector(np.float32(value))
    if isinstance(value, list):
        items = [_write(builder, each) for each in value]
        builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            builder.PrependUOffsetTRelative(item)
        return builder.EndVector()
    places = {
        number: _write(builder, part)
        for number, part in value.items()
        if not isinstance(part, tuple)
    }
    builder.StartObject(max(value, default=-1) + 1)
    for number, place in places.items():
        builder.PrependUOffsetTRelativeSlot(number, place, 0)
    for number in value.keys() - places.keys():  # later: they may be smaller
        builder.PrependSlot(value[number][0], number, value[number][1], 0)
    return builder.EndObject()
