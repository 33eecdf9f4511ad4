"""The family against the golden numbers of the published code."""

import pytest
import torch
from torch import nn

from napari_medt.models.published import rename
from napari_medt.network.attention import GATES
from napari_medt.network.config import NetworkConfig
from napari_medt.network.networks import build_network
from napari_medt.network.patches import join_patches
from tests import published
from tests.published import ARCHITECTURES, GOLDEN

TWO_BRANCHES = ("medt", "logo")
PARAMETERS = {"axialunet": 1_326_850, "gated": 1_326_914, "medt": 1_560_140, "logo": 1_529_532}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_logits_are_golden(architecture, dtype, tolerance):
    golden = GOLDEN["models"][architecture]
    with torch.no_grad():
        logits = published.network(architecture, dtype)(published.image().to(dtype))
    assert list(logits.shape) == golden["shape"]
    values = torch.tensor([logits[tuple(p)].item() for p in GOLDEN["positions"]])
    assert (values - torch.tensor(golden["values"])).abs().max() <= tolerance
    assert logits.mean().item() == pytest.approx(golden["all"]["mean"], abs=tolerance)
    assert logits.std(correction=0).item() == pytest.approx(
        golden["all"]["std_population"], abs=tolerance
    )
    if dtype == torch.float64:
        assert (logits[:, 1] >= 0.5).sum().item() == golden["mask_logit1_ge_0.5"]
        assert logits.argmax(dim=1).sum().item() == golden["mask_argmax1"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_intermediate_maps_are_golden(architecture):
    network = published.network(architecture)
    golden = GOLDEN["models"][architecture]["intermediate"]
    modules = dict(network.named_modules())
    seen = {}

    def remember(name):
        def hook(module, inputs, output):
            first_patches = output[::16] if name.endswith("_p") else output
            seen.setdefault(name, first_patches.clone())  # what follows may work in place

        return hook

    for name in golden:
        ours = rename(f"{name}.0.end", architecture in TWO_BRANCHES).removesuffix(".0.end")
        modules[ours].register_forward_hook(remember(name))
    with torch.no_grad():
        network(published.image())
    assert seen.keys() == golden.keys()
    for name, facts in golden.items():
        assert list(seen[name].shape) == facts["shape"], name
        for key, value in {
            "mean": seen[name].mean(),
            "std_population": seen[name].std(correction=0),
            "min": seen[name].min(),
            "max": seen[name].max(),
            "first": seen[name].flatten()[0],
            "last": seen[name].flatten()[-1],
        }.items():
            assert value.item() == pytest.approx(facts[key], abs=1e-9), (name, key)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_training_step_is_golden(architecture):
    """Loss, gradients and running statistics, with patches one by one as published."""
    two_branches = architecture in TWO_BRANCHES
    golden = GOLDEN["models"][architecture]["train"]
    network = published.network(architecture).train()
    if two_branches:
        network.patch_statistics = "per_patch"
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    logits = network(published.image())
    loss = nn.functional.cross_entropy(logits, published.target())
    loss.backward()
    assert loss.item() == pytest.approx(golden["loss_cross_entropy"], abs=1e-9)
    assert logits.mean().item() == pytest.approx(golden["out_mean"], abs=1e-9)
    parameters = dict(network.named_parameters())
    for name, norm in golden["grad_l2"].items():
        gradient = parameters[rename(name, two_branches)].grad
        assert gradient.norm().item() == pytest.approx(norm, rel=1e-6, abs=1e-9), name
    state = network.state_dict()
    for name, facts in golden["running_after_one_forward"].items():
        ours = state[rename(name, two_branches)]
        assert ours.flatten()[0].item() == pytest.approx(facts["first"], abs=1e-9), name
        assert ours.double().sum().item() == pytest.approx(facts["sum"], abs=1e-7), name


@pytest.mark.parametrize("architecture", ["axialunet", "gated"])
def test_smaller_image_is_golden(architecture):
    golden = GOLDEN["models"][architecture]["img64_batch1"]
    state = published.state_dict(architecture)
    entries = {
        key: torch.tensor(published.parameter(key, shape_at_64(key, value)))
        for key, value in state.items()
    }
    entries["adjust.bias"] = state["adjust.bias"]
    from napari_medt.models.published import load_published

    with torch.no_grad():
        logits = load_published(entries)(published.image(1, 3, 64))
    assert logits.mean().item() == pytest.approx(golden["mean"], abs=1e-9)
    assert logits[0, 1, 10, 20].item() == pytest.approx(golden["y[0,1,10,20]"], abs=1e-9)


def shape_at_64(key, value):
    if key.endswith("relative"):
        return [value.shape[0], (value.shape[1] + 1) // 2 - 1]
    if key.endswith("flatten_index"):
        return [value.numel() // 4]
    return list(value.shape)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parameter_count_is_the_published_one_less_the_unused(architecture):
    count = sum(p.numel() for p in build_network(architecture).parameters())
    unused = {"medt": 35_536 + 34, "logo": 34}.get(architecture, 0)
    assert count == PARAMETERS[architecture] - unused


@pytest.mark.parametrize(
    ("architecture", "size", "patch", "channels", "classes"),
    [
        ("axialunet", 96, 0, 1, 2),
        ("gated", 32, 0, 4, 5),
        ("medt", 256, 0, 1, 3),
        ("medt", 128, 64, 2, 4),
        ("logo", 64, 32, 3, 2),
        ("logo", 256, 0, 3, 2),
    ],
)
def test_any_size_channels_and_classes(architecture, size, patch, channels, classes):
    network = build_network(
        architecture,
        image_size=size,
        in_channels=channels,
        num_classes=classes,
        patch_size=patch,
    ).eval()
    with torch.no_grad():
        assert network(torch.rand(1, channels, size, size)).shape == (1, classes, size, size)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({"architecture": "unet"}, "unknown architecture"),
        ({"image_size": 100}, "multiple of 32"),
        ({"architecture": "medt", "image_size": 96}, "patch size 24"),
        ({"architecture": "medt", "image_size": 96, "patch_size": 64}, "whole number"),
        ({"in_channels": 0}, "at least one"),
    ],
)
def test_numbers_that_make_no_network_are_refused(numbers, reason):
    with pytest.raises(ValueError, match=reason):
        NetworkConfig(**numbers)


@pytest.mark.parametrize("architecture", TWO_BRANCHES)
def test_a_switched_off_branch_does_not_run_and_the_other_counts_twice(architecture):
    network = build_network(architecture).eval()
    maps = {}
    network.global_branch.register_forward_hook(lambda m, i, o: maps.setdefault("global", o))
    network.local_branch.register_forward_hook(lambda m, i, o: maps.setdefault("patch", o))
    with torch.no_grad():
        logits = network(torch.rand(1, 3, 128, 128), branches="global")
        assert maps.keys() == {"global"}
        expected = network.head(network.fuse(2 * maps.pop("global")).relu())
        torch.testing.assert_close(logits, expected)
        logits = network(torch.rand(1, 3, 128, 128), branches="patch")
        assert maps.keys() == {"patch"}
        doubled = 2 * join_patches(maps.pop("patch"), 128, 128)
        torch.testing.assert_close(logits, network.head(network.fuse(doubled).relu()))
    with pytest.raises(ValueError, match="unknown branches"):
        network(torch.rand(1, 3, 128, 128), branches="local")


def test_a_single_branch_cannot_be_switched():
    with pytest.raises(ValueError, match="single branch"):
        build_network("gated", image_size=32)(torch.rand(1, 3, 32, 32), branches="global")


def test_gates_are_born_frozen_at_the_published_values():
    gates = {
        name.rpartition(".")[2]: parameter
        for name, parameter in build_network("gated", image_size=32).named_parameters()
        if name.rpartition(".")[2] in GATES
    }
    assert {name: round(gate.item(), 6) for name, gate in gates.items()} == {
        "gate_query": 0.1,
        "gate_key": 0.1,
        "gate_position_value": 0.1,
        "gate_value": 1.0,
    }
    assert not any(gate.requires_grad for gate in gates.values())
