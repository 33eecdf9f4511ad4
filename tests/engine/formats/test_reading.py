from unittest.mock import Mock

import imageio.v3 as imageio
import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medt.engine.files import read_image
from napari_medt.engine.formats.reading import read_any, read_pictures
from napari_medt.errors import ImageError
from tests.engine.formats.conftest import write_slice

GRAY = np.arange(48, dtype=np.uint8).reshape(6, 8)
COLOUR = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
STACK = np.arange(3 * 2 * 48, dtype=np.uint16).reshape(3, 2, 6, 8)


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


def test_imagej_tiff_tells_axes_and_pixel_size(tmp_path):
    metadata = {"axes": "ZCYX", "unit": "um", "spacing": 3.0}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(4, 2), metadata=metadata)
    picture = read_any(tmp_path / "a.tif")
    assert picture.axes == "zcyx"
    assert picture.scale == (3, 1, 0.5, 0.25)
    assert picture.units == ("um", "pixel", "um", "um")


@pytest.mark.parametrize(("unit", "scale"), [("CENTIMETER", 0.5), ("INCH", 1.0)])
def test_only_metric_resolution_is_believed(tmp_path, unit, scale):
    tifffile.imwrite(tmp_path / "a.tif", GRAY, resolution=(20, 20), resolutionunit=unit)
    assert read_any(tmp_path / "a.tif").scale == (scale, scale)


def test_colours_are_last_and_other_samples_are_channels(tmp_path):
    planes = np.moveaxis(COLOUR, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_any(tmp_path / "a.tif").array, COLOUR)
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


def test_several_series_are_not_one_image(tmp_path):
    for name in "ab":
        write_slice(tmp_path / name, GRAY, SeriesInstanceUID=f"1.{ord(name)}")
    assert len(read_pictures(tmp_path)) == 2
    with pytest.raises(ImageError, match="2 image series"):
        read_any(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.nii", "a.dcm"])
def test_broken_files_give_one_sentence(tmp_path, name):
    with pytest.raises(ImageError, match="no file"):
        read_any(tmp_path / name)
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(ImageError, match=rf"^{name} is not .*\.$"):
        read_any(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_picture_larger_than_the_memory_is_not_called_damaged(tmp_path, monkeypatch, name):
    imageio.imwrite(tmp_path / name, GRAY)
    full = Mock(side_effect=MemoryError)
    monkeypatch.setattr(imageio, "imread", full)
    monkeypatch.setattr(tifffile, "imread", full)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", full)
    for read in (read_any, read_image):
        with pytest.raises(MemoryError):
            read(tmp_path / name)


def test_a_folder_without_dicom(tmp_path):
    with pytest.raises(ImageError, match="no DICOM image"):
        read_any(tmp_path)
