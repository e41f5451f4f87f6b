"""The one form in which every server of this folder answers."""

from typing import Any

from going_modular.app.model import Answer

MAX_BYTES = 15_000_000  # a picture's, as in the Gradio app


def as_json(answer: Answer) -> dict[str, Any]:
    """Put an answer into words and numbers that JSON knows.

    Returns:
        The likeliest "class" and its "probability" in [0, 1], all "probabilities" by
        class, likeliest first, the gate's scores "knn_similarity" and
        "in_distribution_score", its
        "verdict", and the "text" that the app shows.
    """
    name, probability = answer.best
    return {
        "class": name,
        "probability": probability,
        "probabilities": answer.probabilities,
        "knn_similarity": answer.knn_similarity,
        "in_distribution_score": answer.in_distribution_score,
        "verdict": answer.verdict,
        "text": answer.text,
    }
