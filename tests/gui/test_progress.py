"""How long a run will still take."""

from napari_medt.gui.progress import time_left


def test_time_left_in_words():
    assert time_left(0, 40, 0) == "Segmenting..."
    assert time_left(0, 40, 0, tiles_per_second=10) == "Segmenting: about 4 s left"
    assert time_left(10, 40, 4.0) == "Segmenting: about 12 s left"
    assert time_left(39, 40, 4.0) == "Segmenting: less than a second left"
    assert time_left(1, 100, 6.0) == "Segmenting: about 10 min left"
    assert time_left(40, 40, 9.0) == "Making the mask..."
