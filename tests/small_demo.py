"""A small demo folder to pack, push and upload."""

from pathlib import Path

MODEL = bytes(range(256)) * 5_000  # 1.28 MB, binary
TOKEN = "hf_thisIsNotARealToken"
CONTENT = {
    ".gitattributes": b"*.onnx filter=lfs diff=lfs merge=lfs -text\n",
    "README.md": b"---\ntitle: Mini\nsdk: gradio\n---\n\nWhat it does.\n",
    "app.py": b"print('hello')\n",
    "examples/a.jpg": b"\xff\xd8a",
    "examples/b picture.jpg": b"\xff\xd8b",
    "model.onnx": MODEL,
}
FILES = list(CONTENT)
LEFTOVERS = [
    "__pycache__/a.pyc",
    "examples/__pycache__/x.pyc",
    ".gradio/1",
    ".DS_Store",
]


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files, given as {path within the folder: content}; return the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_demo(folder: Path) -> Path:
    """Write a demo folder, with the leftovers of having been used."""
    return write_files(folder, CONTENT | dict.fromkeys(LEFTOVERS, b"x"))
