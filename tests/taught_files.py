"""Files of taught dishes as nobody saves them: the page and Python refuse them."""

import json
from pathlib import Path

_CASES = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
DAMAGES = _CASES["damages"]  # a place in a file; what stands there, null for nothing


def _made(value, there=None):
    """A value; or so many times a text, or what is there."""
    if not isinstance(value, dict) or "times" not in value:
        return value
    return (value.get("of", there) * value["times"])[: value["times"]]


# What is no such file at all, and a part of the sentence that it gets.
NO_TAUGHT_FILES = {
    what: (_made(content).encode("latin"), why)
    for what, (content, why) in _CASES["no taught files"].items()
}


def damaged(text: str, what: str) -> str:
    """A file's text after one of `DAMAGES`."""
    content = json.loads(text)
    path, value = DAMAGES[what]
    *way, last = path.split(".")
    place = content
    for key in way:
        place = place[int(key) if key.isdigit() else key]
    place[last] = _made(value, place.get(last))
    if value is None:
        del place[last]
    return json.dumps(content)
