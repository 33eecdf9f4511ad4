"""Images and labels are read, or refused in a sentence."""

from dataclasses import replace

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from numpy.random import default_rng
from PIL import Image
from skimage.draw import disk

from napari_medt.errors import DataError
from napari_medt.models.card import InputRule
from napari_medt.training.data import read_mask, read_pair, read_training_pair
from napari_medt.training.samples import find_samples


def write_data(folder, count=4, images="images", labels="labels", size=40):
    """Write images of one bright disc each, with their masks."""
    rng = default_rng(0)
    for name in (images, labels):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        mask = np.zeros((size, size), np.uint8)
        mask[disk(rng.uniform(12, size - 12, 2), 8, shape=mask.shape)] = 255
        image = (60 + 0.5 * mask + rng.normal(0, 8, mask.shape)).clip(0, 255).astype(np.uint8)
        imageio.imwrite(folder / images / f"{index}.png", image)
        imageio.imwrite(folder / labels / f"{index}.png", mask)
    return folder


def test_a_sample_is_read_with_its_classes(tmp_path):
    sample = find_samples(write_data(tmp_path, 1))[0]
    pair = read_training_pair(sample, InputRule(), 32, target="classes", num_classes=2)
    assert pair.image.shape == (40, 40, 1)
    assert np.unique(pair.target).tolist() == [0, 1]
    assert pair.magnification == 1


def test_pairs_that_do_not_fit(tmp_path):
    sample = find_samples(write_data(tmp_path, 1))[0]
    with pytest.raises(DataError, match="has label 255, but there are 3 classes"):
        read_training_pair(sample, InputRule(), 32, target="classes", num_classes=3)
    imageio.imwrite(sample.label, np.zeros((5, 6), np.uint8))
    with pytest.raises(DataError, match=r"0\.png is 5 x 6 pixels, its image 40 x 40"):
        read_training_pair(sample, InputRule(), 32, target="classes", num_classes=2)
    imageio.imwrite(sample.image, np.zeros((5, 6), np.uint8))
    with pytest.raises(DataError, match=r"0\.png: Every pixel"):
        read_training_pair(sample, InputRule(), 32, target="classes", num_classes=2)


def test_labels_of_a_palette_are_its_numbers_and_other_colours_are_refused(tmp_path):
    sample = find_samples(write_data(tmp_path, 1))[0]
    numbers = np.zeros((40, 40), np.uint8)
    numbers[5:9, 5:9], numbers[20:25, 20:25] = 1, 2
    mask = Image.fromarray(numbers).convert("P")
    mask.putpalette([0, 0, 0, 0, 128, 0, 128, 0, 0])  # black, green, red
    mask.save(sample.label)
    _, label = read_pair(sample, target="classes", num_classes=3)
    assert np.array_equal(label, numbers)
    mask.convert("RGB").save(sample.label)
    with pytest.raises(DataError, match=r"0\.png has labels in colours"):
        read_pair(sample, target="classes", num_classes=3)
    for mode in ("L", "LA", "RGB", "RGBA"):
        Image.fromarray(numbers).convert(mode).save(sample.label)
        assert np.array_equal(read_pair(sample, target="instances", num_classes=3)[1], numbers)


@pytest.mark.parametrize("name", ["0.png", "0.bmp"])
@pytest.mark.parametrize("grays", [(255, 0), (0, 128)])
def test_numbers_of_a_palette_count_even_if_its_colours_are_gray(tmp_path, grays, name):
    sample = find_samples(write_data(tmp_path, 1))[0]
    numbers = np.zeros((40, 40), np.uint8)
    numbers[5:9, 5:9] = 1
    mask = Image.fromarray(numbers).convert("P")
    mask.putpalette([gray for gray in grays for _ in "rgb"])
    mask.save(sample.label.with_name(name))
    assert np.array_equal(read_mask(sample.label.with_name(name)), numbers)


@pytest.mark.parametrize("levels", [(0, 255), (0, 3, 7), range(256)])
def test_pictures_and_labels_may_be_gif(tmp_path, levels):
    """Which numbers the colours, so that gray ones count by their value."""
    (sample,) = find_samples(write_data(tmp_path, 1))
    sample = replace(
        sample, image=sample.image.with_suffix(".gif"), label=sample.label.with_suffix(".gif")
    )
    pixels = np.resize(np.array(levels, np.uint8), (40, 30))
    for path in (sample.image, sample.label):
        Image.fromarray(pixels).save(path)
    image, label = read_pair(sample, target="classes", num_classes=256)
    assert np.array_equal(label, pixels)
    assert image.shape[:2] == pixels.shape


def test_labels_as_jpeg_are_refused(tmp_path):
    (sample,) = find_samples(write_data(tmp_path, 1))
    label = sample.label.with_name("0.JPG")
    Image.open(sample.label).save(label)
    with pytest.raises(DataError, match=r"0\.JPG has labels as JPEG.*: save .* as PNG or TIFF"):
        read_pair(replace(sample, label=label), target="instances", num_classes=3)


@pytest.mark.parametrize("target", ["instances", "classes"])
@pytest.mark.parametrize(
    "value", [np.int16(-1), np.uint32(2**31), np.int64(2**40), np.float32("nan")]
)
def test_labels_that_are_no_numbers_of_objects_are_refused(tmp_path, value, target):
    (sample,) = find_samples(write_data(tmp_path, 1))
    labels = np.zeros((40, 40), value.dtype)
    labels[5, 5] = value
    path = sample.label.with_name("0.tif")
    tifffile.imwrite(path, labels)
    with pytest.raises(DataError, match=r"0\.tif has labels from .*: number them from 0"):
        read_pair(replace(sample, label=path), target=target, num_classes=2)


@pytest.mark.parametrize("target", ["instances", "classes"])
def test_labels_that_are_not_whole_numbers_are_refused(tmp_path, target):
    """As probabilities, of which every pixel would be foreground."""
    (sample,) = find_samples(write_data(tmp_path, 1))
    sample = replace(sample, label=sample.label.with_name("0.tif"))
    mask = np.zeros((40, 40), np.float32)
    mask[5:15, 5:15] = 1
    tifffile.imwrite(sample.label, mask)
    assert np.array_equal(read_pair(sample, target=target, num_classes=2)[1], mask)
    tifffile.imwrite(sample.label, np.maximum(mask, 0.001))
    with pytest.raises(DataError, match=r"0\.tif has labels that are not whole numbers: save them"):
        read_pair(sample, target=target, num_classes=2)


def test_objects_that_are_not_told_apart_are_refused(tmp_path):
    (sample,) = find_samples(write_data(tmp_path, 1))
    mask = np.zeros((40, 40), np.uint8)
    mask[2:12, 2:12] = mask[2:12, 20:30] = mask[30, ::4] = 255  # in two pieces, with splinters
    imageio.imwrite(sample.label, mask)
    assert np.array_equal(read_pair(sample, target="instances", num_classes=3)[1], mask)
    mask[20:28, 2:12] = 255
    imageio.imwrite(sample.label, mask)
    with pytest.raises(DataError, match=r"0\.png has 3 separate objects of the same number: give"):
        read_pair(sample, target="instances", num_classes=3)
    assert read_pair(sample, target="classes", num_classes=2)[1].max() == 1
    mask[20:28, 2:12] = 254
    imageio.imwrite(sample.label, mask)
    assert np.array_equal(read_pair(sample, target="instances", num_classes=3)[1], mask)


def test_gray_pictures_may_have_alpha(tmp_path):
    (sample,) = find_samples(write_data(tmp_path, 1))
    gray = Image.open(sample.image)
    gray.convert("LA").save(sample.image)
    image, _ = read_pair(sample, target="instances", num_classes=3)
    assert np.array_equal(image, gray)


def test_small_objects_are_magnified_to_the_size_the_network_is_to_know(tmp_path):
    sample = find_samples(write_data(tmp_path, 1))[0]
    labels = np.zeros((40, 40), np.uint16)
    labels[5:15, 5:15], labels[20:30, 20:30] = 1, 2  # like disks of 11.3 pixels
    imageio.imwrite(sample.label, labels)
    rule = InputRule(object_size=22.6)
    pair = read_training_pair(sample, rule, 32, target="instances", num_classes=3)
    assert pair.magnification == 2


def test_only_whole_images_are_smoothed(tmp_path):
    sample = find_samples(write_data(tmp_path, 1))[0]

    def detail(**rule):
        pair = read_training_pair(sample, InputRule(**rule), 16, target="classes", num_classes=2)
        return np.abs(np.diff(pair.image.astype(float), axis=0)).mean()

    assert detail(scaling="whole") < 0.7 * detail()


def test_models_of_many_classes_are_measured_by_the_right_ones(tmp_path):
    [sample] = find_samples(write_data(tmp_path, 1))
    label = np.array([0, 5, 133, 261], np.uint16)[np.arange(1600).reshape(40, 40) % 4]
    imageio.imwrite(sample.label, label)
    assert np.array_equal(read_pair(sample, target="classes", num_classes=300)[1], label)


@pytest.mark.parametrize("background", [0, 7])
def test_high_numbers_of_objects_become_low_ones(tmp_path, background):
    """Tables by number would take gigabytes."""
    [sample] = find_samples(write_data(tmp_path, 1))
    label = np.array([background, 5, 2 * 10**9])[np.arange(1600).reshape(40, 40) % 3]
    tifffile.imwrite(tmp_path / "high.tif", label.astype(np.uint32))
    high = replace(sample, label=tmp_path / "high.tif")
    _, found = read_pair(high, target="instances", num_classes=3)
    assert np.unique(found).tolist() == ([1, 2, 3] if background else [0, 1, 2])
    assert len(np.unique(np.stack([found, label]).reshape(2, -1), axis=1).T) == 3
