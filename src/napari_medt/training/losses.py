"""What training minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_medt.training.targets import HARD

SMOOTH = 1.0  # pixels; keeps the Dice of empty masks defined


def segmentation_loss(logits: Tensor, target: Tensor, contact_weight: float = 1.0) -> Tensor:
    """Cross-entropy plus soft Dice loss, equally weighted.

    The Dice terms are those of nested masks (any foreground, then every class from 2 on), so that
    with rim and core the whole object counts as one mask and its core as another.

    Parameters
    ----------
    logits : Tensor
        ``(N, classes, H, W)``.
    target : Tensor
        ``(N, H, W)`` class numbers, plus `HARD` on the few pixels that decide whether objects are
        found and told apart.
    contact_weight : float
        Weight of these pixels in the cross-entropy; all others weigh 1.

    Returns
    -------
    Tensor
        Scalar.

    References
    ----------
    Soft Dice: Milletari et al., V-Net, 3DV 2016. Weight between objects: Ronneberger et al., U-Net,
    MICCAI 2015.
    """
    weight = torch.where(target >= HARD, contact_weight, 1.0)
    target = target % HARD
    probabilities = logits.softmax(dim=1)
    dice = soft_dice(1 - probabilities[:, 0], target > 0)
    masks = 1
    for number in range(2, logits.shape[1]):
        dice = dice + soft_dice(probabilities[:, number], target == number)
        masks += 1
    surprise = F.cross_entropy(logits, target, reduction="none")
    return (weight * surprise).sum() / weight.sum() + 1 - dice / masks


def soft_dice(probability: Tensor, mask: Tensor) -> Tensor:
    """Dice coefficient of a probability map and a mask ``(N, H, W)``, mean over images."""
    mask = mask.to(probability.dtype)
    both = (probability * mask).sum(dim=(1, 2))
    total = probability.sum(dim=(1, 2)) + mask.sum(dim=(1, 2))
    return ((2 * both + SMOOTH) / (total + SMOOTH)).mean()
