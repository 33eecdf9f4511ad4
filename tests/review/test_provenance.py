import json

import numpy as np

from napari_medt.engine.axes import guess_axes
from napari_medt.engine.region import Region, Scope, box_region
from napari_medt.review.provenance import describe_scope


def test_a_part_is_told_with_channels_counted_from_one():
    axes = guess_axes((2, 5, 8, 9), ("c", "z", "y", "x"))
    scope = Scope(axes, ((3,),), channel=1, region=Region(slice(2, 4), slice(0, 9)))
    assert describe_scope(scope) == {
        "axes": ["channel", "slice", "row", "column"],
        "channel": 2,
        "planes": [[3]],
        "rows": [2, 4],
        "columns": [0, 9],
        "pixels_inside": "all",
    }


def test_shapes_are_no_box():
    """Within a box, 0 would otherwise read as: nothing was found."""
    inside = np.tri(4, dtype=bool)
    region = Region(slice(2, 6), slice(1, 5), inside)
    scope = Scope(guess_axes((8, 9), ("y", "x")), ((),), region=region)
    assert describe_scope(scope)["pixels_inside"] == 10


def test_several_channels_are_seen_as_colours():
    axes = guess_axes((4, 8, 9), ("c", "y", "x"))
    assert describe_scope(Scope.everything(axes, None))["channel"] == "first three"


def test_it_can_be_written_as_json():
    region = box_region(np.array([1.2, 0.0]), np.array([5.0, 6.0]), (8, 9))
    scope = Scope(guess_axes((8, 9), ("y", "x")), ((),), region=region)
    assert json.loads(json.dumps(describe_scope(scope)))["rows"] == [1, 6]
