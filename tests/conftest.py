"""What several test files start from."""

import shutil

import pytest
from local_site import Site
from playwright.sync_api import sync_playwright

from benchmarks.browser import launched


@pytest.fixture
def site(monkeypatch):
    """A web site on this machine, reached past any proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="session")
def playwright():
    """What drives browsers; there can be only one in a process."""
    if shutil.which("chromium") is None:
        pytest.skip("needs the system package chromium")
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def browser(playwright):
    """A headless Chromium, which has a camera."""
    with launched(playwright, "--use-fake-device-for-media-stream") as chromium:
        yield chromium


@pytest.fixture(scope="session")
def lite2():
    """EffNet-Lite2 with its real ImageNet weights; a test that trains it copies it."""
    import torch  # here, because the demo's tests do without it

    from going_modular.model_builder import build_effnet_lite2

    torch.set_num_threads(1)  # a busy machine does not slow one thread down as much
    torch.manual_seed(0)
    return build_effnet_lite2(3)


@pytest.fixture(scope="session")
def plates(lite2):
    """Drawn pictures, ready for `lite2`, (24, 3, 224, 224), and their labels (24,)."""
    import torch
    from drawn_images import drawn_image
    from torch.utils.data import TensorDataset

    from going_modular.drawn import CLASS_NAMES

    dishes = [(name, number) for number in range(8) for name in CLASS_NAMES]
    pictures = [lite2.transform(drawn_image(*dish, size=(256, 192))) for dish in dishes]
    labels = torch.arange(len(CLASS_NAMES)).repeat(8)
    return TensorDataset(torch.stack(pictures), labels)


@pytest.fixture(scope="session")
def stored(lite2, plates):
    """The features of `plates`, (24, 1280), and their labels."""
    from torch.utils.data import DataLoader

    from going_modular.engine import store_features

    return store_features(lite2.model.base, DataLoader(plates, batch_size=7))
