"""Slides as files: every level with its pixels and their size, or one sentence."""

import numpy as np
import pytest
import tifffile
import zarr

from napari_medt.engine.pyramid import open_levels
from napari_medt.errors import ImageError

IMAGE = np.random.default_rng(0).integers(0, 255, (300, 260, 3), np.uint8)
EVERYTHING = (slice(0, 300), slice(0, 260))
AXES = [
    {"name": "c", "type": "channel"},
    *({"name": name, "type": "space", "unit": "micrometer"} for name in "yx"),
]


def scaled(*scale):
    return [{"type": "scale", "scale": list(scale)}]


def write_ome_zarr(folder, version):
    """Write an OME-Zarr of two levels in odd chunks, by hand."""
    group = zarr.create_group(folder, zarr_format=2 if version == "0.4" else 3)
    planes = np.moveaxis(IMAGE, -1, 0)
    for number, step in enumerate((1, 2)):
        level = planes[:, ::step, ::step]
        array = group.create_array(str(number), shape=level.shape, chunks=(2, 77, 61), dtype="u1")
        array[...] = level
    datasets = [
        {"path": str(number), "coordinateTransformations": scaled(1, step, step)}
        for number, step in enumerate((1, 2))
    ]
    image = {"axes": AXES, "datasets": datasets, "coordinateTransformations": scaled(1, 0.5, 0.25)}
    if version == "0.4":
        group.attrs["multiscales"] = [{**image, "version": version}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [image]}
    return folder


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", ["slide.zarr", "slide"])
def test_ome_zarr_of_either_version(tmp_path, version, nested, name):
    path = tmp_path / name
    if nested:  # as bioformats2raw writes several images
        zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
    write_ome_zarr(path / "0" if nested else path, version)
    first, second = open_levels(path)
    assert np.array_equal(first.read(EVERYTHING), IMAGE)
    assert np.array_equal(second.read(EVERYTHING), IMAGE[::2, ::2])
    assert (first.pixel_size, second.pixel_size) == ((0.5, 0.25), (1, 0.5))
    assert first.unit == second.unit == "micrometer"


def test_pyramidal_tiff(tmp_path):
    path = tmp_path / "slide.ome.tif"
    with tifffile.TiffWriter(path) as tiff:
        options = {"tile": (64, 48), "photometric": "rgb"}
        sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 500, "PhysicalSizeYUnit": "nm"}
        tiff.write(IMAGE, subifds=1, metadata={**sizes, "axes": "YXS"}, **options)
        tiff.write(IMAGE[::2, ::2], subfiletype=1, **options)
    first, second = open_levels(path)
    assert np.array_equal(first.read(EVERYTHING), IMAGE)
    assert np.array_equal(second.read(EVERYTHING), IMAGE[::2, ::2])
    assert (first.pixel_size, second.pixel_size) == ((0.5, 0.25), (1, 0.5))


@pytest.mark.parametrize(("unit", "in_micrometres"), [("millimeter", 1000), ("parsec", 1)])
def test_a_level_lies_where_its_file_says(tmp_path, unit, in_micrometres):
    """What the image says comes after what the level says; without a word that is the origin."""
    folder = write_ome_zarr(tmp_path / "slide.zarr", "0.4")
    attributes = zarr.open_group(folder, mode="r+").attrs
    [image] = attributes["multiscales"]
    for axis in image["axes"][1:]:
        axis["unit"] = unit
    attributes["multiscales"] = [image]
    assert [level.translation for level in open_levels(folder)] == [(0, 0), (0, 0)]
    moved = {"type": "translation", "translation": [0, 100, 200]}
    image["coordinateTransformations"] += [moved]
    image["datasets"][1]["coordinateTransformations"] += [{**moved, "translation": [0, 0.5, 0.5]}]
    attributes["multiscales"] = [image]
    translations = np.array([level.translation for level in open_levels(folder)])
    assert translations == pytest.approx(np.array([(100, 200), (100.25, 200.125)]) * in_micrometres)


def test_a_translation_that_is_none_is_not_known(tmp_path):
    folder = write_ome_zarr(tmp_path / "slide.zarr", "0.4")
    attributes = zarr.open_group(folder, mode="r+").attrs
    [image] = attributes["multiscales"]
    moved = {"type": "translation", "translation": [0, float("nan"), 0]}
    attributes["multiscales"] = [{**image, "coordinateTransformations": [moved]}]
    assert [(level.translation, level.unit) for level in open_levels(folder)] == [((0, 0), "")] * 2


@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_a_scale_that_is_none_is_not_known(tmp_path, size):
    folder = write_ome_zarr(tmp_path / "slide.zarr", "0.4")
    attributes = zarr.open_group(folder, mode="r+").attrs
    [image] = attributes["multiscales"]
    image["coordinateTransformations"] = [{"type": "scale", "scale": [size] * len(AXES)}]
    attributes["multiscales"] = [image]
    assert [(level.pixel_size, level.unit) for level in open_levels(folder)] == [((1, 1), "")] * 2


def test_without_a_unit_levels_are_counted_in_pixels_of_the_finest(tmp_path):
    with tifffile.TiffWriter(tmp_path / "slide.tif") as tiff:
        options = {"tile": (64, 48), "photometric": "rgb", "metadata": {"axes": "YXS"}}
        tiff.write(IMAGE, subifds=1, **options)
        tiff.write(IMAGE[::2, ::2], subfiletype=1, **options)
    levels = open_levels(tmp_path / "slide.tif")
    assert [(level.pixel_size, level.unit) for level in levels] == [((1, 1), ""), ((2, 2), "")]
    assert [level.translation for level in levels] == [(0, 0), (0.5, 0.5)], "both cover the same"


@pytest.mark.parametrize(
    ("resolution", "size"),
    [((40_000, "CENTIMETER"), 0.25), ((1, "INCH"), 1), ((300, "INCH"), 1)],
)
def test_size_of_a_pixel_in_a_plain_tiff(tmp_path, resolution, size):
    """Dots per inch are those of a printer."""
    number, unit = resolution
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, IMAGE, resolution=(number, number), resolutionunit=unit)
    [level] = open_levels(path)
    assert level.pixel_size == pytest.approx((size, size))
    assert level.unit == ("micrometer" if size < 1 else "")


def test_a_channel_of_an_8_bit_tiff(tmp_path):
    """Three of them are colours only as long as none of them is asked for."""
    planes = np.moveaxis(IMAGE, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, imagej=True, metadata={"axes": "CYX"})
    assert np.array_equal(open_levels(tmp_path / "a.tif")[0].read(EVERYTHING), IMAGE)
    for channel in range(3):
        [level] = open_levels(tmp_path / "a.tif", channel)
        assert np.array_equal(level.read(EVERYTHING), planes[channel])
    with pytest.raises(ImageError, match="no channel 4: choose one of 3"):
        open_levels(tmp_path / "a.tif", 3)


def test_size_of_a_pixel_by_imagej(tmp_path):
    options = {"imagej": True, "metadata": {"unit": "um"}}
    tifffile.imwrite(tmp_path / "slide.tif", IMAGE, resolution=(4, 4), **options)
    [level] = open_levels(tmp_path / "slide.tif")
    assert (level.pixel_size, level.unit) == ((0.25, 0.25), "micrometer")


def empty_folder(path):
    path.mkdir()


def broken_metadata(path):
    path.mkdir()
    (path / "zarr.json").write_text("{")


def no_pixels(path):
    zarr.create_array(path, shape=(0, 60), chunks=(1, 60), dtype="u1")


def many_planes(path):
    zarr.create_array(path, shape=(2, 3, 60, 60), dtype="u1")


def no_levels(path):
    datasets = [{"path": "0", "coordinateTransformations": scaled(1, 1)}]
    group = zarr.create_group(path)
    group.attrs["multiscales"] = [{"axes": ["y", "x"], "datasets": datasets}]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (empty_folder, "slide.zarr is neither a TIFF nor an OME-Zarr"),
        (broken_metadata, "slide.zarr is not an image that can be read"),
        (no_levels, "slide.zarr is not an image that can be read"),
        (no_pixels, "0 x 60 pixels"),
        (many_planes, "4 axes"),
    ],
)
def test_what_is_no_slide_is_said_in_one_sentence(tmp_path, make, reason):
    make(tmp_path / "slide.zarr")
    with pytest.raises(ImageError, match=reason):
        open_levels(tmp_path / "slide.zarr")


def test_files_that_are_not_there_or_of_another_kind(tmp_path):
    with pytest.raises(ImageError, match="no file"):
        open_levels(tmp_path / "slide.tif")
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ImageError, match="neither a TIFF nor an OME-Zarr"):
        open_levels(tmp_path / "notes.txt")


def cut_chunk(path):
    array = zarr.create_array(path, shape=IMAGE.shape, chunks=(77, 61, 3), dtype="u1")
    array[...] = IMAGE
    chunk = max(
        (file for file in path.rglob("*") if file.is_file()), key=lambda f: f.stat().st_size
    )
    chunk.write_bytes(chunk.read_bytes()[:99])


def cut_tiff(path):
    tifffile.imwrite(path, IMAGE, tile=(64, 64), compression="zlib", photometric="rgb")
    path.write_bytes(path.read_bytes()[:-20_000])


@pytest.mark.parametrize(("name", "make"), [("slide.zarr", cut_chunk), ("slide.tif", cut_tiff)])
def test_files_that_are_cut_off_are_said_once_they_are_read(tmp_path, name, make):
    make(tmp_path / name)
    with pytest.raises(ImageError, match="damaged or gone"):
        open_levels(tmp_path / name)[0].read(EVERYTHING)
