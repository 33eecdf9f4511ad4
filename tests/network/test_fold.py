"""The inference form against the readable one."""

import copy

import pytest
import torch
from torch import nn

from napari_medt.network import fold as folding
from napari_medt.network import fused
from napari_medt.network.attention import GATES, AxialAttention
from napari_medt.network.config import ARCHITECTURES, BRANCHES
from napari_medt.network.fold import FoldedAttention, TwinConvolution, fold
from napari_medt.network.networks import build_network

FORMS = ["kernel", "torch"]


@pytest.fixture(params=FORMS)
def form(request, monkeypatch):
    """Run a test with the kernel, and as if Numba were missing."""
    if request.param == "torch":
        monkeypatch.setattr(fused, "_installed", False)
    else:
        pytest.importorskip("numba")
    return request.param


def network(architecture, seed=0, **numbers):
    """A network in eval mode with nothing left at its starting value."""
    torch.manual_seed(seed)
    built = build_network(architecture, **numbers).eval()
    with torch.no_grad():
        for module in built.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                for values in (module.weight, module.running_var):
                    values.uniform_(0.5, 1.5)
                for values in (module.bias, module.running_mean):
                    values.normal_(std=0.3)
            if isinstance(module, AxialAttention) and module.gated:
                for gate in GATES:
                    getattr(module, gate).uniform_(0.3, 1.2)
    return built


def settings(architecture):
    return BRANCHES if ARCHITECTURES[architecture].local_branch else ("both",)


def difference(one, other, x, branches="both"):
    """Largest difference of two networks' logits; the second one runs in its readable form."""
    with torch.inference_mode():
        ours = one(x, branches=branches)
        with fused.readable():
            return (ours - other(x, branches=branches)).abs().max().item()


@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (2, 3), (3, 5), (4, 4)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_folded_is_the_readable_network(architecture, channels, classes, form):
    readable = network(
        architecture, image_size=64, patch_size=32, in_channels=channels, num_classes=classes
    )
    folded = fold(readable)
    assert folded.config == readable.config
    assert not folded.training
    assert not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in folded.modules())
    x = torch.rand(2, channels, 64, 64)
    for branches in settings(architecture):
        assert difference(folded, readable, x, branches) <= 1e-5, branches


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_at_full_size(architecture, form):
    readable = network(architecture)
    assert difference(fold(readable), readable, torch.rand(1, 3, 128, 128)) <= 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_double_precision(architecture):
    readable = network(architecture, image_size=64, patch_size=32).double()
    x = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    for branches in settings(architecture):
        assert difference(fold(readable), readable, x, branches) <= 1e-10, branches


@pytest.mark.parametrize("branches", ["both", "global", "patch"])
def test_portions_of_a_batch_do_not_matter(branches, monkeypatch):
    folded = fold(network("medt", image_size=64, patch_size=32))
    x = torch.rand(5, 3, 64, 64)
    with torch.inference_mode():
        whole = folded(x, branches=branches)
        monkeypatch.setattr(folding, "PORTION", 2 * 64**2)
        assert torch.allclose(folded(x, branches=branches), whole, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 8])
def test_twin_convolution_is_the_convolution(channels):
    torch.manual_seed(0)
    convolution = nn.Conv2d(12, channels, 3, padding=1)
    x = torch.randn(2, 12, 6, 10)
    for layout in (torch.contiguous_format, torch.channels_last):
        ours = TwinConvolution(convolution)(x.contiguous(memory_format=layout))
        assert torch.allclose(ours, convolution(x), atol=1e-6)


@pytest.mark.parametrize("number", [1, 3000, 1 << 30])
def test_size_of_chunks_does_not_matter(number, monkeypatch):
    monkeypatch.setitem(folding.CHUNK, "cpu", number)
    readable = network("logo", image_size=64, patch_size=32).double()
    x = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    assert difference(fold(readable), readable, x) <= 1e-10


def test_the_original_stays_as_it_is():
    original = network("medt", image_size=64, patch_size=32).train()
    before = copy.deepcopy(original.state_dict())
    random = torch.get_rng_state()
    folded = fold(original)
    assert original.training
    assert torch.equal(torch.get_rng_state(), random)
    for parameter in folded.parameters():
        parameter.zero_()
    after = original.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("columns", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize(("channels", "length"), [(16, 20), (32, 5), (128, 33)])
def test_attention_of_odd_lengths(channels, length, positions, columns, form):
    torch.manual_seed(0)
    attention = AxialAttention(channels, length=length if positions else None).eval()
    with torch.no_grad():
        folded = FoldedAttention(attention)
    x = torch.randn(2, *((length, 3) if columns else (3, length)), channels).permute(0, 3, 1, 2)
    x = x.transpose(2, 3) if columns else x
    assert difference_of_modules(folded, attention, x) <= 1e-5


def difference_of_modules(one, other, x):
    with torch.inference_mode():
        ours = one(x)
        with fused.readable():
            return (ours - other(x)).abs().max().item()


@pytest.mark.parametrize("spread", [1e-3, 3.0, 30.0])
def test_flat_and_steep_attention(spread, form):
    """Weights that are almost equal, and weights that vanish in single precision."""
    torch.manual_seed(0)
    attention = AxialAttention(16, length=32).eval()
    with torch.no_grad():
        attention.similarity_norm.weight.fill_(spread)
        folded = FoldedAttention(attention)
    x = torch.randn(2, 16, 4, 32)
    assert difference_of_modules(folded, attention, x) <= 1e-4


def test_content_that_is_scaled_to_zero(form):
    torch.manual_seed(0)
    attention = AxialAttention(16, length=32).eval()
    with torch.no_grad():
        attention.similarity_norm.weight[:4] = 0
        folded = FoldedAttention(attention)
    assert difference_of_modules(folded, attention, torch.randn(2, 16, 4, 32)) <= 1e-5


def test_tables_are_padded_to_the_kernels_vectors():
    lanes = pytest.importorskip("napari_medt.network.lanes")  # needs Numba
    assert folding.LANES == lanes.WIDTH
