"""A demo folder with a stand-in model, and a headless browser that visits it."""

from pathlib import Path

from demo_model_fixture import DARK, DEMO, GREEN, RED, make_model
from PIL import Image

from going_modular.demo_folder import TEXTS, copy_app

DESKTOP, PHONE, SMALL_PHONE = (1280, 800), (390, 844), (360, 740)


def lay_out(folder: Path, *, classes: int = 3, **changes: str) -> Path:
    """Copy the demo to `folder`, as a reader would, with a stand-in model.

    Args:
        folder: Must not exist.
        classes: How many the model knows.
        changes: Metadata of the model, as for `make_model`.
    """
    copy_app(DEMO, folder, TEXTS)
    make_model(folder / "foodvision_mini.onnx", classes=classes, **changes)
    (folder / "examples").mkdir()
    for name, colour in (("1", RED), ("2", DARK), ("3", GREEN)):
        photo_of(colour, folder / "examples" / f"{name}.jpg")
    return folder


def photo_of(colour: tuple[int, int, int], file: Path) -> Path:
    """Write a picture of one colour."""
    Image.new("RGB", (80, 60), colour).save(file)
    return file


def open_page(browser, url: str, size: tuple[int, int] = DESKTOP):
    """Open a page and wait until it can be used."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.on("filechooser", lambda _: None)  # a key is faster than a late listener
    page.goto(url)
    page.get_by_text("What is on your plate?").first.wait_for()
    return page
