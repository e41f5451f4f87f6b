"""Files of taught dishes as nobody saves them: the page and Python refuse them."""

import base64
import json


def _dish(**changes):
    return lambda content: content["dishes"][0].update(changes)


def _photo(**changes):
    return lambda content: content["dishes"][0]["photos"][0].update(changes)


def _encoded(byte: int) -> str:
    return base64.b64encode(bytes([byte]) * 1280).decode()


# What is no such file at all, and a part of the sentence that it gets.
NO_TAUGHT_FILES = {
    "nothing": (b"", "no taught dishes"),
    "a picture": (b"\xff\xd8\xff\xe0", "no taught dishes"),
    "a list": (b"[]", "no taught dishes"),
    "lists without end": (b"[" * 100_000, "no taught dishes"),
    "nothing at all": (b"null", "no taught dishes"),
    "another file": (b'{"format": "x"}', "no taught dishes"),
    "a newer one": (
        b'{"format": "FoodVision taught dishes", "version": 9}',
        "newer page",
    ),
}
DAMAGES = {
    "no dishes": lambda content: content.pop("dishes"),
    "dishes of another kind": lambda content: content.update(dishes=3),
    "a name that is no text": _dish(name={}),
    "an empty name": _dish(name=" \n\u202e\u200b "),
    "photos of another kind": _dish(photos="x"),
    "a photo that is none": _dish(photos=[None]),
    "no photos": _dish(photos=[]),
    "too many photos": _dish(photos=[{"features": _encoded(1), "scale": 0.01}] * 401),
    "too many dishes": lambda content: content.update(dishes=content["dishes"] * 21),
    "features too short": _photo(features="AAA="),
    "features too long": _photo(features="A" * 9_000_000),
    "features that are no base64": _photo(features="\u00e4" * 1708),
    "features of zeros": _photo(features=_encoded(0)),
    "a scale below zero": _photo(scale=-1),
    "a scale without end": _photo(scale=float("inf")),
    "a scale that is text": _photo(scale="1"),
    "a scale that is far too large": _photo(scale=1e300),
    "a scale that is true": _photo(scale=True),
    "a picture that is no text": _photo(picture=5),
    "a picture that is not small": _photo(picture="A" * 3_000_000),
}


def damaged(text: str, what: str) -> str:
    """A file's text after one of `DAMAGES`."""
    content = json.loads(text)
    DAMAGES[what](content)
    return json.dumps(content)
