"""What there is to segment in files and folders."""

import imageio.v3 as imageio

from napari_medt.engine.inputs import find_items
from tests.engine.standin import Painted, standin
from tests.engine.test_batch import ONE, STACK, TWO, run, statuses, write_series


def test_loose_dicom_files_are_one_series(tmp_path):
    write_series(tmp_path / "ct", "1.2.3", STACK)
    [item] = find_items(sorted((tmp_path / "ct").iterdir()))
    assert (item.name, len(item.files)) == ("ct", 7)


def test_results_are_never_inputs(tmp_path):
    imageio.imwrite(tmp_path / "one.png", ONE)
    imageio.imwrite(tmp_path / "two.png", TWO)
    model = standin(Painted())
    run(tmp_path, tmp_path, model, probability=True)
    assert statuses(run(tmp_path, tmp_path, model, probability=True)) == {
        "one": "skipped",
        "two": "skipped",
    }
