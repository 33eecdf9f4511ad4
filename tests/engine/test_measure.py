"""What is said of labels."""

from napari_medt.engine.measure import circumference_in_words
from tests.engine.test_ellipse import draw


def test_words():
    mask = draw((100, 130), (60, 60))
    assert circumference_in_words(mask, None) == "circumference 377 pixels"
    assert circumference_in_words(mask, 0.5).endswith(" mm")
    assert circumference_in_words(mask, 1, 0.5) == circumference_in_words(mask, 0.5)
    assert circumference_in_words(mask, (0.5, 0.5)) == circumference_in_words(mask, 0.5)
    assert circumference_in_words(mask & False, 0.5) == "no outline to measure"
