import pytest

from tests.training.test_data import write_data


@pytest.fixture
def data(tmp_path):
    write_data(tmp_path / "data" / "train", 6)
    write_data(tmp_path / "data" / "val", 2)
    return tmp_path / "data"
