"""The log of a run as a picture."""

import imageio.v3 as imageio

from napari_medt.training.curve import draw_curve


def test_a_name_is_drawn_as_it_is(tmp_path):
    """Between dollars, Matplotlib would look for mathematics."""
    rows = [{"epoch": 1, "loss": 0.5, "val_dice": 0.9}]
    draw_curve(tmp_path / "curve.png", rows, r"a$\foo$")
    assert imageio.imread(tmp_path / "curve.png").shape[:2] == (480, 840)
