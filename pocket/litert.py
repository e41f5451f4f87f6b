"""Ask a .tflite file in Python, with LiteRT's own remarks kept out of the lesson."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

STDERR = 2  # the number under which C code knows it


def litert_answers(tflite_file: Path, prepared: Iterable[np.ndarray]) -> np.ndarray:
    """Probabilities (N, C), in the order of the class names, on one thread.

    `prepared` are N pictures as `preparing_session` gives them, float32 (3, S, S).
    """
    with without_remarks():
        interpreter = Interpreter(str(tflite_file), num_threads=1)
        interpreter.allocate_tensors()  # the first question would, with a remark
    ask = interpreter.get_signature_runner()
    pictures = (picture.transpose(1, 2, 0)[None] for picture in prepared)  # NHWC
    return np.array([ask(picture=each)["probabilities"][0] for each in pictures])


@contextmanager
def without_remarks() -> Iterator[None]:
    """Keep off stderr the "INFO:" that LiteRT 2.3 writes as it starts, unasked."""
    kept = os.dup(STDERR)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)
            written.seek(0)
            for line in written:
                if not line.startswith(b"INFO: "):
                    os.write(STDERR, line)
