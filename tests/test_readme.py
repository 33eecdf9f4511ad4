"""What README says is what the package has."""

from pathlib import Path

import pytest

from napari_medt.models.store import bundled_cards

README = Path(__file__).parents[1] / "README.md"
COLUMNS = {"iou": 3, "ap50": 4, "pq": 5, "circumference_error_mm": 6, "ece": 7, "failures": 8}


def accuracy_rows():
    """Cells of the accuracy table by model and branches."""
    rows, name = {}, ""
    for line in README.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 9 and cells[1] in ("both", "global", "patch"):
            name = cells[0] or name
            rows[name, cells[1]] = cells
    return rows


def told(measures):
    """Figures of one branch setting as the table gives them."""
    low, high = measures["dice_ci"]
    figures = {2: f"{measures['dice']:.3f} ({low:.3f}-{high:.3f})"}
    for measure, column in COLUMNS.items():
        if measure in measures:
            digits = {"circumference_error_mm": 2, "failures": 0}.get(measure, 3)
            figures[column] = f"{measures[measure]:.{digits}f}"
    return figures


@pytest.mark.parametrize("name", bundled_cards())
def test_accuracy_is_that_of_the_cards(name):
    accuracy = bundled_cards()[name].accuracy
    for branches, measures in accuracy.items():
        cells = accuracy_rows()[f"`{name}`, {measures['images']} images", branches]
        assert {column: cells[column] for column in told(measures)} == told(measures)


@pytest.mark.parametrize("name", bundled_cards())
def test_the_summary_is_that_of_the_cards(name):
    lines = README.read_text(encoding="utf-8").splitlines()
    line = next(line for line in lines if line.startswith(f"| `{name}` |"))
    both = bundled_cards()[name].accuracy["both"]
    assert f"| {both['dice']:.3f}" in line
    assert f"| {both['failures']} of {both['images']} images |" in line
    if "circumference_error_mm" in both:
        assert f"off by {both['circumference_error_mm']:.1f} mm" in line
