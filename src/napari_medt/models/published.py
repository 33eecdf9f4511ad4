"""Checkpoints of the published MedT code: recognised, renamed and loaded without running them."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from napari_medt.errors import ModelError
from napari_medt.network.config import NetworkConfig
from napari_medt.network.networks import AxialUNet, LoGoNet, from_config

MAX_SIZE = 4096  # pixels a side, channels or classes: a damaged file must not ask for all memory
PUBLISHED_PATCH = 32  # side of the published local branch's patches, whatever the image size

# Published name -> ours, inside one branch, after the local branch's suffix _p is taken off.
STEM = {"conv1": "0", "bn1": "1", "conv2": "3", "bn2": "4", "conv3": "6", "bn3": "7"}
BLOCK = {
    "conv_down": "reduce",
    "bn1": "reduce_norm",
    "conv_up": "expand",
    "bn2": "expand_norm",
    "downsample": "shortcut",
    "hight_block": "height",
    "width_block": "width",
}
ATTENTION = {
    "qkv_transform": "qkv",
    "bn_qkv": "qkv_norm",
    "bn_similarity": "similarity_norm",
    "bn_output": "output_norm",
    "relative": "relative",
    "f_qr": "gate_query",
    "f_kr": "gate_key",
    "f_sve": "gate_position_value",
    "f_sv": "gate_value",
}
# Stored but never used by the published forward pass; the index table is derived from the length.
UNUSED = re.compile(r"adjust_p\.|layer\d_p\.\d+\.conv1\.|.*\.flatten_index$")
INTEGERS = re.compile(r"(num_batches_tracked|flatten_index)$")


def load_published(source: str | Path | Mapping[str, Tensor]) -> AxialUNet | LoGoNet:
    """Load a checkpoint of the published MedT code by its keys alone.

    The architecture, image size, channels and classes are read off the shapes. Nothing in the
    file is executed.

    Parameters
    ----------
    source : path or mapping
        A ``.pth`` file or its state_dict, with or without the prefix ``module.``. The published
        code trains on images in BGR order with values from 0 to 1.

    Returns
    -------
    torch.nn.Module
        The network in eval mode, in the checkpoint's own precision.

    Raises
    ------
    ModelError
        If the file cannot be read, holds more than tensors, or is not one of the four networks.
    """
    state = source if isinstance(source, Mapping) else read_checkpoint(Path(source))
    _check_tensors(state)
    state = {key.removeprefix("module."): value for key, value in state.items()}
    config = config_of(state)
    network = from_config(config).to(state["conv1.weight"].dtype)
    renamed = {
        rename(key, config.has_branches): value
        for key, value in state.items()
        if not UNUSED.match(key)
    }
    _check_keys(renamed, network.state_dict())
    network.load_state_dict(renamed)
    return network.eval()


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read a ``.pth`` file of plain tensors, refusing anything that would run code.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or holds anything but a dictionary of tensors.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols: the file loads or is refused
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"There is no file {path}.") from None
    except pickle.UnpicklingError:
        raise ModelError(
            f"{path.name} was refused: it is not a plain PyTorch weights file and opening it "
            "could run code; save it again as a state_dict."
        ) from None
    except Exception:  # a damaged file makes torch raise anything
        raise ModelError(
            f"{path.name} is damaged or not a PyTorch weights file; fetch it again."
        ) from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path.name} holds no state_dict of tensors; save one and try again.")
    return state


def config_of(state: Mapping[str, Tensor]) -> NetworkConfig:
    """Read the configuration off a published state_dict's keys and shapes.

    Raises
    ------
    ModelError
        If the keys are not those of a published network.
    """
    try:
        stem, head = state["conv1.weight"], state["adjust.weight"]
        table = state["layer1.0.hight_block.relative"]
    except KeyError as missing:
        raise ModelError(
            f"These are not weights of a published MedT network: {missing} is missing."
        ) from None
    gated = "layer1.0.hight_block.f_qr" in state
    two_branches = "conv1_p.weight" in state
    architecture = {
        (False, False): "axialunet",
        (True, False): "gated",
        (True, True): "medt",
        (False, True): "logo",
    }[gated, two_branches]
    try:
        config = NetworkConfig(
            architecture=architecture,
            image_size=table.shape[1] + 1,  # a table of 2 L - 1 columns for the map of length S / 2
            in_channels=stem.shape[1],
            num_classes=head.shape[0],
            patch_size=PUBLISHED_PATCH if two_branches else 0,
        )
    except (ValueError, IndexError) as error:
        raise ModelError(f"These are not weights of a published MedT network: {error}.") from None
    largest = max(config.image_size, config.in_channels, config.num_classes)
    if largest > MAX_SIZE:
        raise ModelError(
            f"These are not weights of a published MedT network: {largest} pixels, channels or "
            "classes are too many."
        )
    return config


def rename(key: str, two_branches: bool) -> str:
    """Translate a published key into ours; a key of neither network comes back unchanged.

    Examples
    --------
    >>> rename("layer2_p.1.hight_block.bn_qkv.weight", True)
    'local_branch.stages.1.1.height.qkv_norm.weight'
    """
    try:
        return _rename(key, two_branches)
    except (IndexError, ValueError):  # too few parts, or no number where one belongs
        return key


def _rename(key: str, two_branches: bool) -> str:
    module, _, rest = key.partition(".")
    if module in ("adjust", "decoderf"):
        return f"{'head' if module == 'adjust' else 'fuse'}.{rest}"
    local = module.endswith("_p")
    module = module.removesuffix("_p")
    branch = ("local_branch" if local else "global_branch") if two_branches else "branch"
    if module in STEM:
        return f"{branch}.stem.{STEM[module]}.{rest}"
    if module.startswith("layer"):
        block, *names = rest.split(".")
        names[0] = BLOCK.get(names[0], names[0])
        if names[0] in ("height", "width"):
            names[1] = ATTENTION.get(names[1], names[1])
        return ".".join([branch, "stages", str(int(module[5:]) - 1), block, *names])
    if module.startswith("decoder"):
        number = int(module[7:])
        if number == 1:
            return f"{branch}.bottom.{rest}"
        # The shallow global branch starts at the published decoder4, a deep one at decoder2.
        first = 4 if branch == "global_branch" else 2
        return f"{branch}.decoder.{number - first}.{rest}"
    return key


def _check_tensors(state: Mapping[str, Tensor]) -> None:
    """Refuse keys that are not text, and tensors that are not plain floats or counters."""
    for key, value in state.items():
        if not isinstance(key, str):
            raise ModelError(
                f"The checkpoint is no state_dict: {key!r} is not the name of a tensor."
            )
        plain = value.layout == torch.strided and value.device.type == "cpu"
        if not plain or not (value.is_floating_point() or INTEGERS.search(key)):
            raise ModelError(
                f"The checkpoint's {key} holds no plain floating-point numbers: save the weights "
                "in single precision on the CPU."
            )


def _check_keys(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    missing, extra = expected.keys() - state.keys(), state.keys() - expected.keys()
    if missing:
        raise ModelError(f"The checkpoint lacks {len(missing)} tensors, such as {min(missing)}.")
    if extra:
        raise ModelError(f"The checkpoint has {len(extra)} unknown tensors, such as {min(extra)}.")
    for key, tensor in expected.items():
        if state[key].shape != tensor.shape:
            raise ModelError(
                f"The checkpoint's {key} has shape {tuple(state[key].shape)} "
                f"where the network needs {tuple(tensor.shape)}."
            )
