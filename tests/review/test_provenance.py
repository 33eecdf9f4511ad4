from napari_medt.engine.axes import guess_axes
from napari_medt.engine.region import Region, Scope
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
    }


def test_several_channels_are_seen_as_colours():
    axes = guess_axes((4, 8, 9), ("c", "y", "x"))
    assert describe_scope(Scope.everything(axes, None))["channel"] == "first three"
