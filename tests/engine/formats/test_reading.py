from unittest.mock import Mock

import imageio.v3 as imageio
import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medt.engine.formats import dicom
from napari_medt.engine.formats.plain import read_image, read_tiff
from napari_medt.engine.formats.reading import read_pictures
from napari_medt.engine.pyramid import open_levels
from napari_medt.errors import ImageError
from tests.engine.formats.conftest import write_slice

GRAY = np.arange(48, dtype=np.uint8).reshape(6, 8)
COLOUR = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
STACK = np.arange(3 * 2 * 48, dtype=np.uint16).reshape(3, 2, 6, 8)


def read_any(path):
    [picture] = read_pictures(path)
    return picture


@pytest.mark.parametrize(
    ("name", "values", "axes"),
    [("a.png", GRAY, "yx"), ("b.PNG", COLOUR, "yxs"), ("c.bmp", GRAY, "yx"), ("d.tif", GRAY, "yx")],
)
def test_common_pictures(tmp_path, name, values, axes):
    imageio.imwrite(tmp_path / name, values)
    picture = read_any(tmp_path / name)
    assert np.array_equal(picture.array, values)
    assert (picture.axes, picture.name, picture.rgb) == (axes, name[0], "s" in axes)
    assert (picture.scale, picture.units) == ((1, 1), ("pixel", "pixel"))
    assert picture.affine is None


@pytest.mark.parametrize(("values", "axes"), [(COLOUR, "yxs"), (RAMP, "yx")])
def test_animations_have_time_and_stills_have_none(tmp_path, values, axes):
    """Pillow reads GIFs with a palette in colour, and those with all grays in order in gray."""
    imageio.imwrite(tmp_path / "a.gif", np.stack([values, 255 - values]))
    picture = read_any(tmp_path / "a.gif")
    assert (picture.axes, picture.array.shape) == (f"t{axes}", (2, *values.shape))
    imageio.imwrite(tmp_path / "b.gif", values)
    picture = read_any(tmp_path / "b.gif")
    assert (picture.axes, picture.array.shape) == (axes, values.shape)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_alpha_of_gray_pictures_is_dropped(tmp_path, name):
    Image.fromarray(GRAY).convert("LA").save(tmp_path / name)
    assert np.array_equal(read_image(tmp_path / name), GRAY)


def test_ome_tiff_tells_axes_and_pixel_size(tmp_path):
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.25}
    metadata = {"axes": "ZCYX", "PhysicalSizeZ": 2, "PhysicalSizeZUnit": "mm", **sizes}
    tifffile.imwrite(tmp_path / "cells.ome.tif", STACK, metadata=metadata)
    picture = read_any(tmp_path / "cells.ome.tif")
    assert (picture.axes, picture.name) == ("zcyx", "cells")
    assert picture.scale == (2, 1, 0.25, 0.5)
    assert picture.units == ("mm", "pixel", "um", "um")
    assert np.array_equal(picture.array, STACK)


@pytest.mark.parametrize("size", ["0", "-0.2", "nan", "inf", "", "a"])
def test_a_size_that_is_none_is_not_known(tmp_path, size):
    path = tmp_path / "cells.ome.tif"
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.125}
    tifffile.imwrite(path, GRAY, metadata={"axes": "YX", **sizes})
    assert read_any(path).mm == pytest.approx({"y": 0.000125, "x": 0.0005})
    written = path.read_bytes()
    path.write_bytes(written.replace(b'"0.125"', f'"{size}"'.ljust(7).encode()))
    assert path.read_bytes() != written
    assert read_any(path).mm == {}


@pytest.mark.parametrize("spacing", ["0", "nan", "?"])
def test_a_spacing_that_is_none_is_not_known(tmp_path, spacing):
    metadata = {"axes": "ZCYX", "unit": "um", "spacing": spacing}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(2, 2), metadata=metadata)
    assert set(read_any(tmp_path / "a.tif").mm) == {"y", "x"}


def test_imagej_tiff_tells_axes_and_pixel_size(tmp_path):
    metadata = {"axes": "ZCYX", "unit": "um", "spacing": 3.0}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(4, 2), metadata=metadata)
    picture = read_any(tmp_path / "a.tif")
    assert picture.axes == "zcyx"
    assert picture.scale == (3, 1, 0.5, 0.25)
    assert picture.units == ("um", "pixel", "um", "um")


@pytest.mark.parametrize(
    ("unit", "resolution_unit", "scale"),
    [("cm", "CENTIMETER", (2, 0.5, 2.5)), ("mm", "NONE", (0.2, 0.05, 0.25))],
)
def test_imagej_counts_slices_in_the_unit_of_pixels(tmp_path, unit, resolution_unit, scale):
    options = {"resolution": (4, 20), "resolutionunit": resolution_unit, "imagej": True}
    metadata = {"axes": "ZYX", "unit": unit, "spacing": 0.2}
    tifffile.imwrite(tmp_path / "a.tif", STACK[:, 0], metadata=metadata, **options)
    picture = read_any(tmp_path / "a.tif")
    assert (picture.axes, picture.units) == ("zyx", ("mm", "mm", "mm"))
    assert picture.scale == pytest.approx(scale)


@pytest.mark.parametrize("unit", ["pixel", "inch"])
def test_slices_without_a_known_unit_have_no_size(tmp_path, unit):
    metadata = {"axes": "ZYX", "unit": unit, "spacing": 0.2}
    tifffile.imwrite(tmp_path / "a.tif", STACK[:, 0], imagej=True, metadata=metadata)
    assert read_any(tmp_path / "a.tif").units == ("pixel",) * 3


@pytest.mark.parametrize(("unit", "scale"), [("CENTIMETER", 0.5), ("INCH", 1.0)])
def test_only_metric_resolution_is_believed(tmp_path, unit, scale):
    tifffile.imwrite(tmp_path / "a.tif", GRAY, resolution=(20, 20), resolutionunit=unit)
    assert read_any(tmp_path / "a.tif").scale == (scale, scale)


@pytest.mark.parametrize(("dots", "believed"), [(72, False), (300, False), (305, True)])
def test_resolution_of_a_printer_is_none_of_the_image(tmp_path, dots, believed):
    per_centimetre = round(dots / 2.54, 3)
    options = {"resolution": (per_centimetre,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "a.tif", GRAY, **options)
    assert (read_any(tmp_path / "a.tif").units == ("mm", "mm")) == believed


def test_colours_are_last_and_other_samples_are_channels(tmp_path):
    planes = np.moveaxis(COLOUR, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_any(tmp_path / "a.tif").array, COLOUR)
    assert np.array_equal(read_image(tmp_path / "a.tif"), COLOUR)
    tifffile.imwrite(
        tmp_path / "b.tif", planes[:2], photometric="minisblack", planarconfig="separate"
    )
    assert read_any(tmp_path / "b.tif").axes == "cyx"


def test_medical_files_go_to_their_readers(tmp_path):
    nibabel.save(nibabel.Nifti1Image(STACK[:, 0], np.eye(4)), tmp_path / "Scan.NII.GZ")
    assert read_any(tmp_path / "Scan.NII.GZ").units == ("mm",) * 3
    folder = tmp_path / "exam"
    folder.mkdir()
    write_slice(folder / "a.dcm", GRAY)
    assert read_any(folder / "a.dcm").name == "CT Thorax"
    assert np.array_equal(read_any(folder).array, GRAY)


def test_several_series_are_several_pictures(tmp_path):
    for name in "ab":
        write_slice(tmp_path / name, GRAY, SeriesInstanceUID=f"1.{ord(name)}")
    assert len(read_pictures(tmp_path)) == 2


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.nii", "a.dcm"])
def test_broken_files_give_one_sentence(tmp_path, name):
    with pytest.raises(ImageError, match="no file"):
        read_any(tmp_path / name)
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(ImageError, match=rf"^{name} is not .*\.$"):
        read_any(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.dcm"])
def test_a_picture_larger_than_the_memory_is_not_called_damaged(tmp_path, monkeypatch, name):
    if name == "a.dcm":
        write_slice(tmp_path / name, GRAY)
    else:
        imageio.imwrite(tmp_path / name, GRAY)
    full = Mock(side_effect=MemoryError)
    monkeypatch.setattr(imageio, "imread", full)
    monkeypatch.setattr(tifffile, "imread", full)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", full)
    monkeypatch.setattr(dicom, "pixel_array", full)
    for read in (read_any, read_image) if name != "a.dcm" else (read_any,):
        with pytest.raises(MemoryError):
            read(tmp_path / name)


def test_a_folder_without_dicom(tmp_path):
    with pytest.raises(ImageError, match="no DICOM image"):
        read_any(tmp_path)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd", "packbits", "jpeg", "jpeg2000"])
def test_usual_compressions_of_tiff_are_read(tmp_path, compression):
    rows, columns = np.mgrid[:64, :80].astype(np.uint8)
    values = np.stack([3 * rows, 3 * columns, rows + columns], axis=2)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", compression=compression, tile=(32, 32))
    [picture] = read_pictures(path)
    assert picture.rgb
    assert np.abs(picture.array.astype(int) - values).mean() < 3
    [level] = open_levels(path)
    assert np.array_equal(level.read((slice(0, 64), slice(0, 80))), picture.array)


def test_a_palette_gives_images_colours_and_labels_numbers(tmp_path):
    Image.fromarray(COLOUR).quantize(16).save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as opened:
        numbers, colours = np.asarray(opened), np.asarray(opened.convert("RGB"))
    picture = read_any(tmp_path / "a.tif")
    assert picture.axes == "yxs"
    assert np.array_equal(picture.array, colours)
    assert np.array_equal(read_image(tmp_path / "a.tif"), colours)
    assert np.array_equal(read_tiff(tmp_path / "a.tif", numbers=True).array, numbers)
    assert np.array_equal(read_image(tmp_path / "a.tif", numbers=True), numbers)


@pytest.mark.parametrize("unit", [1, 257])
def test_a_palette_may_have_8_bits(tmp_path, unit):
    """Where libtiff takes it so, too: else the image would be black."""
    palette = (unit * np.tile(np.arange(256), (3, 1))).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", GRAY, photometric="palette", colormap=palette)
    assert np.array_equal(read_tiff(tmp_path / "a.tif").array, np.stack([GRAY] * 3, axis=-1))


def test_palettes_of_imagej_only_show_values(tmp_path):
    palette = np.random.default_rng(0).integers(0, 2**16, (3, 256), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", GRAY, imagej=True, photometric="palette", colormap=palette)
    assert np.array_equal(read_any(tmp_path / "a.tif").array, GRAY)


def test_palettes_of_measured_values_only_show_them(tmp_path):
    """As microscopes' software and Bio-Formats write them."""
    palette = np.random.default_rng(0).integers(0, 2**16, (3, 256), np.uint16)
    tifffile.imwrite(tmp_path / "a.ome.tif", GRAY, photometric="palette", colormap=palette)
    assert np.array_equal(read_any(tmp_path / "a.ome.tif").array, GRAY)


def test_a_palette_of_two_colours(tmp_path):
    colours = (0, 256 * 9, 0, 256 * 8, 256, 0)  # red, green and blue of both
    tags = [(320, "H", 6, colours, True)]
    tifffile.imwrite(tmp_path / "a.tif", GRAY > 9, photometric="minisblack", extratags=tags)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags["PhotometricInterpretation"].overwrite(3)
    picture = read_any(tmp_path / "a.tif")
    assert np.array_equal(picture.array, np.where(GRAY[..., None] > 9, [9, 8, 0], [0, 0, 1]))


def test_black_is_zero_where_that_is_not_told(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GRAY, photometric="minisblack")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        place = file.pages[0].tags["PhotometricInterpretation"].offset
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[place : place + 2] = b"\xe8\xfd"  # a tag of no meaning in its place
    (tmp_path / "a.tif").write_bytes(data)
    assert np.array_equal(read_any(tmp_path / "a.tif").shown, GRAY)
    assert np.array_equal(read_image(tmp_path / "a.tif"), GRAY)
    assert open_levels(tmp_path / "a.tif")


def test_a_mask_of_transparency_is_no_further_image(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(COLOUR, metadata=None)
        file.write(GRAY > 9, metadata=None, subfiletype=4)
    assert np.array_equal(read_any(tmp_path / "a.tif").array, COLOUR)


def test_a_resolution_that_is_no_number_is_none(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GRAY, resolution=(40, 40), resolutionunit=3)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags["XResolution"].overwrite((40, 0))
    assert read_any(tmp_path / "a.tif").units == ("pixel", "pixel")


def test_white_is_zero_turns_values_round_for_images_only(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GRAY, photometric="miniswhite")
    assert np.array_equal(read_any(tmp_path / "a.tif").shown, 255 - GRAY)
    assert np.array_equal(read_image(tmp_path / "a.tif"), 255 - GRAY)
    assert np.array_equal(read_image(tmp_path / "a.tif", numbers=True), GRAY)
    assert np.array_equal(read_tiff(tmp_path / "a.tif", numbers=True).array, GRAY)


@pytest.mark.parametrize("mode", ["CMYK", "LAB"])
def test_inks_and_other_colours_are_refused_in_tiff(tmp_path, mode):
    Image.frombytes(mode, (8, 6), bytes(8 * 6 * len(mode))).save(tmp_path / "a.tif")
    for read in (read_any, read_image, open_levels):
        with pytest.raises(ImageError, match=r"^a.tif stores its colours as .* convert it to RGB"):
            read(tmp_path / "a.tif")


def test_jpeg_of_inks_is_read_in_colours(tmp_path):
    Image.new("RGB", (16, 16), (240, 20, 20)).convert("CMYK").save(tmp_path / "a.jpg")
    picture = read_any(tmp_path / "a.jpg")
    assert picture.array.shape == (16, 16, 3)
    assert np.abs(picture.array.astype(int) - (240, 20, 20)).max() < 16


@pytest.mark.parametrize("options", [{"photometric": "miniswhite"}, {"photometric": "palette"}])
def test_slides_whose_values_stand_for_others_are_refused(tmp_path, options):
    palette = np.zeros((3, 256), np.uint16) if options["photometric"] == "palette" else None
    tifffile.imwrite(tmp_path / "a.tif", GRAY, colormap=palette, **options)
    with pytest.raises(ImageError, match="convert it to plain gray or RGB"):
        open_levels(tmp_path / "a.tif")


@pytest.mark.parametrize("metadata", [{}, None])
@pytest.mark.parametrize("other", [GRAY[:4, :5], COLOUR])
def test_several_images_of_a_tiff_are_not_one(tmp_path, metadata, other):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for values in (GRAY, other, GRAY):
            file.write(values, metadata=metadata)
    for read in (read_any, read_image, open_levels):
        with pytest.raises(ImageError, match=r"^a.tif holds \d images that are not one stack"):
            read(tmp_path / "a.tif")


def test_positions_of_an_ome_tiff_are_not_one_image(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        for values in (GRAY, GRAY):
            file.write(values, metadata={"axes": "YX"})
    with pytest.raises(ImageError, match="holds 2 images"):
        read_any(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("options", [{"metadata": {"name": "Label"}}, {"subfiletype": 1}])
@pytest.mark.parametrize("levels", [0, 1])
def test_what_lies_beside_a_slide_is_left_out(tmp_path, options, levels):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(RAMP, subifds=levels)
        for _ in range(levels):
            file.write(RAMP[::2, ::2], subfiletype=1)
        file.write(COLOUR[:4, :5], **options)
    assert np.array_equal(read_any(tmp_path / "a.tif").array, RAMP)
    assert len(open_levels(tmp_path / "a.tif")) == 1 + levels


def test_a_pyramid_in_pages_is_one_image(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for step in (1, 2, 4):
            file.write(RAMP[::step, ::step], metadata=None, subfiletype=int(step > 1))
    assert np.array_equal(read_any(tmp_path / "a.tif").array, RAMP)


def test_a_picture_that_is_too_large_is_told_so(tmp_path, monkeypatch):
    """Pillow takes it for an attack."""
    imageio.imwrite(tmp_path / "a.png", GRAY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", GRAY.size // 2 - 1)
    with pytest.raises(ImageError, match=r"^a\.png is too large for a picture: convert it to TIFF"):
        read_any(tmp_path / "a.png")
