"""A small demo folder to pack, push and upload."""

from pathlib import Path

MODEL = bytes(range(256)) * 5_000  # 1.28 MB, binary
ATTRIBUTES = "*.onnx filter=lfs diff=lfs merge=lfs -text\n"
TOKEN = "hf_thisIsNotARealToken"
FILES = [
    ".gitattributes",
    "README.md",
    "app.py",
    "examples/a.jpg",
    "examples/b picture.jpg",
    "model.onnx",
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
    return write_files(
        folder,
        {
            "model.onnx": MODEL,
            "app.py": b"print('hello')\n",
            "README.md": b"---\ntitle: Mini\nsdk: gradio\n---\n\nWhat it does.\n",
            ".gitattributes": ATTRIBUTES.encode(),
            "examples/b picture.jpg": b"\xff\xd8b",
            "examples/a.jpg": b"\xff\xd8a",
            "__pycache__/app.pyc": b"x",
            "examples/__pycache__/x.pyc": b"x",
            ".gradio/cached/1": b"x",
            ".DS_Store": b"x",
        },
    )
