"""The distribution as a user gets it: an sdist, the wheel from it, a fresh environment."""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "src" / "napari_medt" / "models" / "bundled"

LOOK = """
import json
import napari_medt
from napari_medt.models.store import bundled_cards
from npe2 import PluginManager

manager = PluginManager.instance()
manager.discover()
manifest = manager.get_manifest("napari-medt")
offered = manifest.contributions
print(json.dumps({
    "module": napari_medt.__file__,
    "version": manifest.package_version,
    "widgets": [callable(w.get_callable()) for w in offered.widgets or []],
    "samples": {s.key: len(s.open()) for s in offered.sample_data or []},
    "models": list(bundled_cards()),
}))
"""


def run(*command: object, cwd: Path) -> str:
    """Run a command that must succeed, out of reach of the source tree."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Build an sdist from the source tree, and a wheel from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    [path] = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """Install the wheel into a fresh environment; give that environment's interpreter.

    Its requirements are those of the environment that runs the tests, seen through a path file.
    Python reads no path files there, so an editable install of the package stays out of sight.
    """
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    scheme = {"base": str(folder), "platbase": str(folder)}
    python = Path(sysconfig.get_path("scripts", "venv", scheme)) / "python"
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", wheel, cwd=folder)
    outer = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    site = Path(sysconfig.get_path("purelib", "venv", scheme))
    (site / "requirements.pth").write_text("\n".join(sorted(outer)) + "\n")
    return python


@pytest.fixture(scope="module")
def found(python) -> dict:
    return json.loads(run(python, "-c", LOOK, cwd=python.parent))


def test_the_module_is_the_wheels(found, python):
    assert Path(found["module"]).is_relative_to(python.parents[1])
    assert found["version"] == "0.1.0"


def test_npe2_finds_a_working_widget(found):
    assert found["widgets"]
    assert all(found["widgets"])


def test_npe2_finds_and_opens_every_sample(found):
    generated = dict.fromkeys(("fluorescence", "histology", "dermoscopy", "ultrasound"), 2)
    assert found["samples"] == {**generated, "immunohistochemistry": 1, "cell": 1}


def test_npe2_validates_the_installed_plugin(python):
    run(python, "-m", "npe2", "validate", "napari-medt", cwd=python.parent)


def test_every_bundled_model_is_found(found):
    assert "nuclei-fluorescence" in found["models"]
    assert found["models"] == sorted(path.parent.name for path in MODELS.glob("*/card.json"))


def test_wheel_carries_the_weights_on_the_cards(wheel):
    with zipfile.ZipFile(wheel) as archive:
        for card in MODELS.glob("*/card.json"):
            inside = f"napari_medt/models/bundled/{card.parent.name}"
            weights = archive.read(f"{inside}/weights.safetensors")
            sha256 = json.loads(archive.read(f"{inside}/card.json"))["sha256"]
            assert hashlib.sha256(weights).hexdigest() == sha256


def test_wheel_names_where_the_weights_come_from(wheel):
    """Their licences ask for it."""
    with zipfile.ZipFile(wheel) as archive:
        [notice] = [n for n in archive.namelist() if n.endswith("NOTICE") and ".dist-info" in n]
        told = archive.read(notice).decode()
    for path in MODELS.glob("*/card.json"):
        card = json.loads(path.read_text(encoding="utf-8"))
        assert f"{card['name']}, {card['licence']}\n" in told
        for source in card["training"]["data"]:
            assert all(source[key] in told for key in ("name", "attribution", "licence", "source"))


def test_command_line_starts(python):
    assert "segment" in run(python.parent / "napari-medt", "--help", cwd=python.parent)


@pytest.mark.parametrize(
    ("system", "machine", "allowed"),
    [("darwin", "x86_64", False), ("darwin", "arm64", True), ("linux", "x86_64", True)],
)
def test_numpy_fits_the_torch_that_a_computer_gets(system, machine, allowed):
    """The last torch for Macs with an Intel processor was built for NumPy 1."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = [Requirement(text) for text in project["dependencies"]]
    computer = {"sys_platform": system, "platform_machine": machine}
    bounds = [
        need.specifier
        for need in needs
        if need.name == "numpy" and (need.marker is None or need.marker.evaluate(computer))
    ]
    assert all("1.26.4" in bound for bound in bounds)
    assert all("2.0" in bound for bound in bounds) == allowed


@pytest.mark.parametrize("name", ["napari.yaml", "sample_data"])
def test_root_links_lead_into_the_package(name):
    link = ROOT / name
    if not link.is_symlink():
        pytest.skip("this checkout has no symbolic links")
    assert link.resolve() == ROOT / "src" / "napari_medt" / name
