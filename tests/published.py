"""The published networks' golden numbers and the formulas that fill their parameters.

`data/published` holds what the published code (Valanarasu et al., MICCAI 2021) computes in float64
for parameters, an image and a target that follow from simple integer formulas, so that no weights
need to be stored.
"""

import json
from pathlib import Path

import numpy as np
import torch

from napari_medt.models.published import load_published

DATA = Path(__file__).parent / "data" / "published"
GOLDEN = json.loads((DATA / "golden.json").read_text())
ARCHITECTURES = ("axialunet", "gated", "medt", "logo")
PRIME = 1_000_003


def uniform(count, seed):
    """`count` reproducible values in [0, 1)."""
    i = np.arange(count, dtype=np.int64)
    return ((i * i * 7919 + i * 104_729 + seed * 611_953) % PRIME) / PRIME


def checksum(key):
    return sum(position * ord(letter) for position, letter in enumerate(key, 1)) % 9973


def parameter(key, shape):
    """The value of one entry of a published state_dict."""
    leaf = key.split(".")[-1]
    if leaf in ("num_batches_tracked", "flatten_index"):
        return np.zeros(shape, np.int64)
    u = uniform(int(np.prod(shape)), checksum(key))
    w = 2 * u - 1
    if not shape:
        value = 0.3 + 0.9 * u
    elif key.endswith("bn_similarity.running_var"):
        value = 0.15 + 0.3 * u
    elif leaf == "running_var":
        value = 0.5 + u
    elif leaf in ("running_mean", "bias"):
        value = 0.2 * w
    elif leaf == "relative":
        value = w * np.sqrt(6 / shape[0])
    elif len(shape) == 1:
        value = 1 + 0.3 * w
    else:
        linear = any(part in key for part in ("qkv_transform", "conv_up", "downsample"))
        value = w * np.sqrt((3 if linear else 6) / np.prod(shape[1:]))
    return value.reshape(shape)


def state_dict(architecture):
    """A filled published state_dict in float64, with the published names."""
    entries = json.loads((DATA / f"state_dict_{architecture}.json").read_text())["entries"]
    state = {key: torch.tensor(parameter(key, e["shape"])) for key, e in entries.items()}
    state["adjust.bias"] = torch.tensor(
        GOLDEN["override"]["adjust.bias"][architecture], dtype=torch.float64
    )
    return state


def network(architecture, dtype=torch.float64):
    """Our network with the golden parameters."""
    return load_published(state_dict(architecture)).to(dtype)


def image(count=2, channels=3, size=128):
    """The golden input, ``(N, C, H, W)`` float64."""
    n, c, h, w = np.meshgrid(*map(np.arange, (count, channels, size, size)), indexing="ij")
    waves = 0.25 * np.sin(0.11 * h + 0.5 * c) * np.cos(0.07 * w - 0.3 * n)
    noise = 0.25 * (2 * uniform(n.size, 1).reshape(n.shape) - 1)
    return torch.tensor(0.5 + waves + noise)


def target(count=2, size=128):
    """The golden segmentation target, ``(N, H, W)`` int64."""
    n, h, w = np.meshgrid(*map(np.arange, (count, size, size)), indexing="ij")
    return torch.tensor(((h - 64) ** 2 + (w - 50 - 20 * n) ** 2 < 900).astype(np.int64))
