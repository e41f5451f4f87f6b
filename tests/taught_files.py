"""Files of taught dishes as nobody saves them: the page and Python refuse them."""

import json
from pathlib import Path

_CASES = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))


def _made(value, there=None):
    """A value; or so many times a text, or what is there."""
    if not isinstance(value, dict) or "times" not in value:
        return value
    return (value.get("of", there) * value["times"])[: value["times"]]


def refused_files(good: str) -> dict[str, tuple[bytes, str]]:
    """What is no such file, and a good one damaged, each with what is said of it."""
    refused = {
        what: (_made(content).encode("latin"), why)
        for what, (content, why) in _CASES["no taught files"].items()
    }
    for what, (path, value) in _CASES["damages"].items():
        content = place = json.loads(good)
        *way, last = path.split(".")
        for key in way:
            place = place[int(key) if key.isdigit() else key]
        place[last] = _made(value, place.get(last))
        if value is None:
            del place[last]
        refused[what] = (json.dumps(content).encode(), "damaged")
    return refused
