import os
import subprocess
import sys

import imageio.v3 as imageio
import numpy as np
import pytest
from scipy import ndimage

from napari_medt.gui import samples
from napari_medt.sample_data import generate

GENERATED = {
    "fluorescence": ("fluorescence_nuclei", (520, 696), 78),
    "histology": ("histology_nuclei", (512, 512, 3), 150),
    "dermoscopy": ("skin_lesion", (256, 256, 3), 1),
    "ultrasound": ("fetal_head", (270, 400), 1),
}
REAL = {"immunohistochemistry": (512, 512, 3), "cell": (660, 550)}

# An empty data folder, so that nothing an earlier download left behind is taken for shipped.
OFFLINE = """
import socket
import sys

def refuse(*args, **kwargs):
    raise OSError("the network was used")

socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from napari_medt.gui import samples

[(image, options, kind)] = getattr(samples, sys.argv[1])()
print(kind, image.dtype, *image.shape)
"""


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("the network was used")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


@pytest.mark.parametrize("name", GENERATED)
def test_generated_sample_comes_with_hidden_truth(name, no_network):
    _, shape, objects = GENERATED[name]
    (image, image_options, image_kind), (truth, options, kind) = getattr(samples, name)()
    assert (image_kind, image.dtype, image.shape) == ("image", np.uint8, shape)
    assert (kind, truth.dtype, truth.shape) == ("labels", np.uint16, shape[:2])
    assert "generated" in image_options["name"]
    assert options["name"].endswith("(truth)")
    assert not options["visible"]
    assert truth.max() >= objects


@pytest.mark.parametrize("name", GENERATED)
def test_truth_numbers_whole_objects_without_gaps(name):
    truth = getattr(samples, name)()[1][0]
    numbers = np.unique(truth[truth > 0])
    assert list(numbers) == list(range(1, len(numbers) + 1))
    assert all(ndimage.label(truth == number)[1] == 1 for number in numbers)


@pytest.mark.parametrize(("name", "sign"), [("fluorescence", 1), ("histology", -1)])
def test_truth_lies_on_the_nuclei(name, sign):
    """Nuclei stand out from their surroundings, but not from those of a shifted truth."""
    (image, *_), (truth, *_) = getattr(samples, name)()
    gray = sign * image.reshape(*truth.shape, -1)[..., 0].astype(float)

    def contrast(labels):
        inside = labels > 0
        around = ndimage.binary_dilation(inside, iterations=4) & ~inside
        return gray[inside].mean() - gray[around].mean()

    shifts = [(0, 6), (0, -6), (6, 0), (-6, 0)]
    assert contrast(truth) > 15
    assert all(contrast(truth) > 1.3 * contrast(np.roll(truth, s, (0, 1))) for s in shifts)


def test_truth_lies_on_the_lesion():
    (image, *_), (truth, *_) = samples.dermoscopy()
    rim = ndimage.binary_dilation(truth, iterations=12) & (truth == 0)
    assert image[truth > 0].mean() < 0.7 * image[rim].mean()


def test_truth_follows_the_skull():
    (image, *_), (truth, *_) = samples.ultrasound()
    rim = (truth > 0) & ~ndimage.binary_erosion(truth, iterations=6)
    assert image[rim].mean() > 2 * image[(truth > 0) & ~rim].mean()


@pytest.mark.parametrize("name", REAL)
def test_real_sample_ships_with_scikit_image(name, tmp_path):
    environment = {**os.environ, "SKIMAGE_DATADIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, name], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["image", "uint8", *map(str, REAL[name])]


@pytest.mark.parametrize("name", GENERATED)
def test_shipped_sample_is_what_the_generator_draws(name):
    stem = GENERATED[name][0]
    image, labels = generate.draw(stem)
    shipped = [
        imageio.imread(samples.FOLDER / kind / f"{stem}.png") for kind in ("images", "labels")
    ]
    assert np.mean(np.abs(shipped[0].astype(int) - image) > 2) < 1e-3
    assert np.mean(shipped[1] != labels) < 1e-3


def test_samples_stay_small():
    assert sum(path.stat().st_size for path in samples.FOLDER.rglob("*.png")) < 1_500_000
