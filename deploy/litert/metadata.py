"""Write into a .tflite file what it expects and what its outputs mean.

ML Kit and other readers look for two things. The buffer `TFLITE_METADATA` holds tables
in flatbuffers, described by `metadata_schema.fbs` of TensorFlow Lite Support. The names
of the classes are a text file, in a zip that is put after the model's own end.
"""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.number_types import Int8Flags, Uint8Flags, Uint32Flags

from deploy.converting import LICENCE, descriptions
from going_modular.app.model import ModelMetadata
from going_modular.pocket.tflite import IDENTIFIER

BUFFER = "TFLITE_METADATA"
METADATA_IDENTIFIER = b"M001"
LABELS = "labels.txt"
# From the schema, where each kind of content has a number.
RGB, IMAGE_PROPERTIES, FEATURE_PROPERTIES, NORMALIZATION = 1, 2, 1, 1
TENSOR_AXIS_LABELS = 2


@dataclass(frozen=True)
class Normalization:
    """An app computes (value - mean) / std for each value from 0 to 255.

    Attributes:
        mean: One for all channels, or one for each; so is `std`.
    """

    mean: list[float]
    std: list[float]


def with_metadata(content: bytes, about: ModelMetadata, how: Normalization) -> bytes:
    """Add metadata and labels to a .tflite file's content.

    Args:
        content: Of a file that takes one picture, and gives its probabilities first.
        about: What the model file says about itself.
        how: The picture is to be scaled.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    outputs = [graph.tensors[place] for place in graph.outputs]
    buffer, entry = schema.BufferT(), schema.MetadataT()
    names = [tensor.name.decode() for tensor in outputs]
    buffer.data = np.frombuffer(_tables(about, how, names), np.uint8)
    entry.name, entry.buffer = BUFFER, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return packed(model) + _zip(about.class_names)


def packed(model: schema.ModelT) -> bytes:
    """A .tflite file's content, without what may stand behind its end."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _zip(class_names: list[str]) -> bytes:
    """A zip of the labels. Its offsets count from its own start; readers know that."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:  # stored: readers map it from disk
        # A date of its own, or the same model would make another file each time.
        labels = zipfile.ZipInfo(LABELS, date_time=(1980, 1, 1, 0, 0, 0))
        archive.writestr(labels, "\n".join(class_names) + "\n")
    return made.getvalue()


def _tables(about: ModelMetadata, how: Normalization, outputs: list[str]) -> bytes:
    """The metadata: a table is a list of its fields, by their number in the schema."""
    make = _Tables()
    size, meaning = about.input_size, descriptions(about)
    image_size = make.table({0: (Uint32Flags, size), 1: (Uint32Flags, size)})
    image = make.table({0: (Int8Flags, RGB), 1: image_size})
    content = make.table({0: (Uint8Flags, IMAGE_PROPERTIES), 1: image})
    scaling = make.table({0: make.floats(how.mean), 1: make.floats(how.std)})
    unit = make.table({0: (Uint8Flags, NORMALIZATION), 1: scaling})
    pairs = list(zip(how.mean, how.std, strict=True))
    most, least = ([(end - m) / s for m, s in pairs] for end in (255, 0))
    stats = make.table({0: make.floats(most), 1: make.floats(least)})
    picture = make.table(
        {
            0: make.text("picture"),
            1: make.text(meaning["picture"]),
            3: content,
            4: make.tables([unit]),
            5: stats,
        }
    )
    feature = make.table({0: (Uint8Flags, FEATURE_PROPERTIES), 1: make.table({})})
    answers = [_probabilities(make, feature, meaning["probabilities"])]
    answers += [
        make.table({0: make.text(name), 1: make.text(meaning[name]), 3: feature})
        for name in outputs[1:]
    ]
    graph = make.table({2: make.tables([picture]), 3: make.tables(answers)})
    model = make.table(
        {
            0: make.text(about.title),
            1: make.text(f"Tells {', '.join(about.class_names)} from each other"),
            2: make.text("1"),
            3: make.tables([graph]),
            5: make.text(LICENCE),
            7: make.text("1.0.0"),  # the oldest reader that knows all of this
        }
    )
    return make.finish(model)


def _probabilities(make: "_Tables", feature: int, meaning: str) -> int:
    labels = make.table({0: make.text(LABELS), 2: (Int8Flags, TENSOR_AXIS_LABELS)})
    return make.table(
        {
            0: make.text("probability"),
            1: make.text(meaning),
            3: feature,
            5: make.table({0: make.floats([1.0]), 1: make.floats([0.0])}),
            6: make.tables([labels]),
        }
    )


class _Tables:
    """Puts flatbuffers together from the inside out, as they want it."""

    def __init__(self):
        self.builder = flatbuffers.Builder(1024)

    def text(self, text: str) -> int:
        return self.builder.CreateString(text)

    def floats(self, values: list[float]) -> int:
        return self._vector(values, self.builder.PrependFloat32)

    def tables(self, tables: list[int]) -> int:
        return self._vector(tables, self.builder.PrependUOffsetTRelative)

    def _vector(self, items: list, prepend: Callable[[Any], None]) -> int:
        self.builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            prepend(item)
        return self.builder.EndVector()

    def table(self, fields: dict[int, object]) -> int:
        """A table; a field is a kind of number with its value, or what was made here.

        Fields go in from the largest kind to the smallest, so that each is aligned.
        """
        self.builder.StartObject(max(fields, default=-1) + 1)
        by_size = sorted(fields.items(), key=lambda pair: isinstance(pair[1], tuple))
        for number, value in by_size:
            if isinstance(value, tuple):
                kind, plain = value
                self.builder.PrependSlot(kind, number, plain, 0)
            else:
                self.builder.PrependUOffsetTRelativeSlot(number, value, 0)
        return self.builder.EndObject()

    def finish(self, table: int) -> bytes:
        self.builder.Finish(table, METADATA_IDENTIFIER)
        return bytes(self.builder.Output())
