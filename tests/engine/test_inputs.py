"""What there is to segment in files and folders."""

from pathlib import PurePath

import imageio.v3 as imageio

from napari_medt.engine.formats import dicom
from napari_medt.engine.inputs import find_items
from tests.engine.standin import Painted, standin
from tests.engine.test_batch import ONE, STACK, TWO, run, statuses, write_series


def test_loose_dicom_files_are_one_series(tmp_path):
    write_series(tmp_path / "ct", "1.2.3", STACK)
    [item] = find_items(sorted((tmp_path / "ct").iterdir()))
    assert (item.name, len(item.files)) == ("ct", 7)


def test_a_file_that_may_not_be_read_stops_no_folder(tmp_path, monkeypatch):
    """Root may read everything, so the refusal is made up."""
    write_series(tmp_path / "ct", "1.2.3", STACK)
    imageio.imwrite(tmp_path / "one.png", ONE)
    (tmp_path / "ct" / "secret").write_bytes(b"not for you")
    look = dicom.begins_as_dicom

    def refuse(path):
        if path.name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(dicom, "begins_as_dicom", refuse)
    assert [item.name for item in find_items([tmp_path])] == ["one", "ct"]
    assert dicom.is_dicom_folder(tmp_path)


def test_every_file_of_a_large_folder_is_compared_with_few_others(tmp_path, monkeypatch):
    count, compared, equal = 50, [], PurePath.__eq__
    for number in range(count):
        (tmp_path / f"{number}.dcm").touch()
    monkeypatch.setattr(PurePath, "__eq__", lambda a, b: compared.append(a) or equal(a, b))
    assert len(find_items([tmp_path])) == count
    assert len(compared) < 10 * count


def test_results_are_never_inputs(tmp_path):
    imageio.imwrite(tmp_path / "one.png", ONE)
    imageio.imwrite(tmp_path / "two.png", TWO)
    model = standin(Painted())
    run(tmp_path, tmp_path, model, probability=True)
    assert statuses(run(tmp_path, tmp_path, model, probability=True)) == {
        "one": "skipped",
        "two": "skipped",
    }
