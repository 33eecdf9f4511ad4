"""The picture of the worst cases."""

import imageio.v3 as imageio
import numpy as np

from napari_medt.models.store import load_model
from napari_medt.training.evaluate import Score
from napari_medt.training.samples import find_samples
from napari_medt.training.worst import ROWS, colour, draw_worst
from tests.training.test_data import write_data


def test_the_lowest_dice_comes_first(tiny_model, tmp_path):
    samples = find_samples(write_data(tmp_path / "data", ROWS + 2))
    dices = [0.9, 0.2, 0.8, 0.1, 0.95, 0.5]
    scores = [Score(s, {"dice": d}, np.ones((3, 15))) for s, d in zip(samples, dices, strict=True)]
    path = tmp_path / "WORST.PNG"
    worst = draw_worst(path, load_model(tiny_model), scores, "both", "cpu")
    assert [score.measures["dice"] for score in worst] == [0.1, 0.2, 0.5, 0.8]
    assert imageio.imread(path).std() > 10


def test_labels_colour_the_image_and_nothing_else():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    labels = np.zeros((20, 30), np.int32)
    labels[5:9, 5:9], labels[5:9, 9:12] = 1, 2
    plain, coloured = colour(image, None), colour(image, labels)
    np.testing.assert_allclose(coloured[labels == 0], plain[labels == 0], atol=1e-6)
    tints = [(coloured - plain)[labels == number].mean(axis=0) for number in (1, 2)]
    assert colour(np.eye(20, 30), labels).max() <= 1, "else matplotlib tells of it"
    assert np.abs(tints[0] - tints[1]).max() > 0.1
