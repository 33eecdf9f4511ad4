"""Parts of work are told as parts of the whole."""

import pytest

from napari_medt.engine.progress import STEPS, counted_from, share_of, steps_of


@pytest.mark.parametrize(
    ("part", "told"),
    [(counted_from, (5, 10)), (share_of, (17, 70)), (steps_of, (2428, 10 * STEPS))],
)
def test_a_part_is_told_as_part_of_the_whole(part, told):
    seen = []
    part(lambda *counts: seen.append(counts), 2, 10)(3, 7)
    assert seen == [told]
