"""The loss, on masks small enough to reckon by hand."""

import pytest
import torch

from napari_medt.training.losses import segmentation_loss, soft_dice
from napari_medt.training.targets import HARD


def sure(target, classes=3, logit=30.0):
    return logit * torch.nn.functional.one_hot(target, classes).permute(0, 3, 1, 2).float()


def test_a_perfect_answer_costs_nothing():
    target = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    assert segmentation_loss(sure(target), target).item() == pytest.approx(0, abs=1e-4)


def test_marks_of_hard_pixels_change_no_class():
    target = torch.randint(0, 3, (1, 8, 8), generator=torch.Generator().manual_seed(0))
    everywhere = segmentation_loss(torch.randn(1, 3, 8, 8), target + HARD)
    assert torch.isfinite(everywhere)
    assert segmentation_loss(sure(target), target + HARD).item() == pytest.approx(0, abs=1e-4)


def test_an_error_between_objects_costs_more():
    target = torch.zeros(1, 1, 4, dtype=torch.long)
    marked = target.clone()
    marked[0, 0, 0] += HARD
    wrong = target.clone()
    wrong[0, 0, 0] = 1
    plain = segmentation_loss(sure(wrong, logit=2.0), target)
    heavy = segmentation_loss(sure(wrong, logit=2.0), marked, contact_weight=6.0)
    surprise = -torch.log_softmax(torch.tensor([2.0, 0.0, 0.0]), 0)
    right, error = surprise[0], surprise[1]
    expected = (6 * error + 3 * right) / (6 + 3) - (error + 3 * right) / 4
    assert (heavy - plain).item() == pytest.approx(expected.item(), abs=1e-5)


def test_loss_falls_as_the_prediction_improves():
    target = torch.zeros(2, 8, 8, dtype=torch.long)
    target[:, 2:5, 2:5] = 1
    target[:, 3, 3] = 2
    right = torch.nn.functional.one_hot(target, 3).permute(0, 3, 1, 2).float()
    losses = [segmentation_loss(strength * right, target).item() for strength in (0, 2, 5, 50)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(0, abs=1e-4)
    assert soft_dice(torch.zeros(1, 4, 4), torch.zeros(1, 4, 4, dtype=torch.bool)).item() == 1
