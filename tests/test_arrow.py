"""The dependency arrow: network <- models <- engine <- training | review <- cli | gui."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import napari_medt

PACKAGE = Path(napari_medt.__file__).parent
RANK = {"network": 0, "models": 1, "engine": 2, "training": 3, "review": 3, "cli": 4, "gui": 4}
# Every part may use the errors. Samples stand alone, and nobody needs the code that draws them.
SHARED = {"errors"}
ALONE = {"sample_data"}
# The command line opens the demo; it does so when asked, as the fresh interpreter below shows.
EXCEPTIONS = {("cli", "gui")}
SCREEN = {"napari", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "magicgui", "superqt", "vispy"}


def modules() -> dict[str, Path]:
    """Find every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def part(name: str) -> str:
    """Name the part of the package that a module belongs to; '' for the package itself."""
    return name.split(".")[1] if "." in name else ""


def imports(name: str) -> set[str]:
    """Find all modules that a module's code imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute here"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names} & set(MODULES)
    return found


def loaded_after(*names: str) -> set[str]:
    """Top-level modules in a fresh interpreter after importing these."""
    lines = "\n".join(f"import {name}" for name in names)
    code = f"{lines}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("name", [name for name in MODULES if part(name)])
def test_imports_follow_the_arrow(name):
    own = part(name)
    for target in imports(name):
        if not target.startswith("napari_medt."):
            continue
        other = part(target)
        if other == own or other in SHARED or (own, other) in EXCEPTIONS:
            continue
        assert own in RANK, f"{name} imports {target}"
        assert other in RANK, f"{name} imports {target}"
        assert RANK[other] < RANK[own], f"{name} imports {target}"


def test_every_part_has_its_place():
    assert {part(name) for name in MODULES} - {""} <= {*RANK, *SHARED, *ALONE}


@pytest.mark.parametrize("name", [name for name in MODULES if part(name) == "network"])
def test_network_knows_torch_only(name):
    tops = {target.split(".")[0] for target in imports(name)}
    foreign = tops - set(sys.stdlib_module_names) - {"napari_medt"}
    assert foreign <= {"torch", "numpy", "numba", "llvmlite"}


def test_nothing_outside_gui_loads_a_screen():
    assert not SCREEN & loaded_after(*(name for name in MODULES if part(name) != "gui"))


@pytest.mark.parametrize("name", ["napari_medt", "napari_medt.cli", "napari_medt.gui.samples"])
def test_torch_waits_until_it_is_needed(name):
    assert "torch" not in loaded_after(name)
