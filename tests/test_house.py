"""The house: imports point one way, names hide no package, one way in."""

import ast
import importlib.metadata
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOUSE = ROOT / "going_modular"
WINGS = {"big", "pocket", "your_turn"}


def imports_of(file: Path) -> set[str]:
    """The course's modules that a file imports, without `going_modular.`."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    course = {name for name in names if name and name.startswith("going_modular.")}
    return {name.removeprefix("going_modular.") for name in course} & MODULES.keys()


MODULES = {
    ".".join(file.relative_to(HOUSE).with_suffix("").parts): file
    for file in HOUSE.rglob("*.py")
    if file.name != "__init__.py"
}
EDGES = {(name, used) for name, file in MODULES.items() for used in imports_of(file)}


def room(module: str) -> str:
    """The wing that a module is in, or "path"."""
    return module.split(".")[0] if "." in module else "path"


def test_what_is_copied_out_imports_nothing_from_the_course():
    for file in (ROOT / "demos").rglob("*.py"):
        if "going_modular" in file.read_text("utf-8"):
            pytest.fail(f"{file} imports from the course")


def test_the_path_uses_no_wing_and_no_wing_another():
    for name, used in EDGES:
        own = room(name)
        allowed = WINGS | {"path"} if own == "your_turn" else {own, "path"}
        assert room(used) in allowed, f"{name} uses {used}"


def test_there_is_no_circle():
    left = dict.fromkeys(MODULES, ())
    left = {name: {used for user, used in EDGES if user == name} for name in left}
    while left:
        free = {name for name, used in left.items() if not used & left.keys()}
        assert free, f"a circle among {sorted(left)}"
        left = {name: used for name, used in left.items() if name not in free}


def test_the_path_is_short_and_the_readme_names_every_room():
    path = {name for name in MODULES if room(name) == "path"}
    assert len(path) <= 26
    readme = (ROOT / "README.md").read_text("utf-8").split("## Layout")[1]
    for name in path:
        assert f"{name}.py" in readme, f"the README does not name {name}.py"
    for wing in WINGS:
        assert f"{wing}/" in readme


def test_no_name_hides_an_installed_package():
    """Run inside the folder, `import matplotlib` died once: it needs `packaging`."""
    installed = {*importlib.metadata.packages_distributions(), *sys.stdlib_module_names}
    assert not {name for name in MODULES if room(name) == "path"} & installed
