"""The fused attention against the readable form: outputs, gradients, running statistics."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_medt.network import fused
from napari_medt.network.attention import GATES, AxialAttention
from napari_medt.network.networks import build_network

pytest.importorskip("numba")

WITHOUT = """
import logging
logging.basicConfig(level="INFO")
import torch
from napari_medt.network.fold import fold
from napari_medt.network.networks import build_network
x = torch.zeros(1, 3, 128, 128)
network = build_network("medt").eval()
for one in network, fold(network):
    print(tuple(one(x).shape))
"""
KINDS = {"content": (False, False), "positions": (True, False), "gated": (True, True)}
# The similarity norm's bias cancels in the softmax: only rounding arrives there.
NO_GRADIENT = "similarity_norm.bias"


def attention(channels, length, kind, seed=0):
    """An attention in float64 with nothing left at its starting value."""
    torch.manual_seed(seed)
    positions, gated = KINDS[kind]
    built = AxialAttention(channels, length=length if positions else None, gated=gated).double()
    with torch.no_grad():
        for norm in (built.qkv_norm, built.similarity_norm, built.output_norm):
            for values in (norm.weight, norm.running_var):
                values.uniform_(0.5, 1.5)
            for values in (norm.bias, norm.running_mean):
                values.normal_()
        for gate in GATES if gated else ():
            getattr(built, gate).uniform_(0.3, 1.2)
    return built.requires_grad_(True)


def maps(channels, length, columns):
    """Channels-last maps, attended along rows or along columns."""
    x = torch.randn(2, length if columns else 3, 3 if columns else length, channels)
    x = x.double().permute(0, 3, 1, 2)
    return x.transpose(2, 3) if columns else x


def run(forward, module, x, weight):
    """Output, gradients and buffers after one step of a module."""
    x = x.clone().requires_grad_()
    out = forward(x)
    (out * weight).sum().backward()
    results = {"output": out.detach(), "input": x.grad}
    results |= {
        f"gradient of {name}": p.grad
        for name, p in module.named_parameters()
        if name != NO_GRADIENT
    }
    return results | {name: buffer.double() for name, buffer in module.named_buffers()}


@pytest.mark.parametrize("columns", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("channels", "length"), [(16, 20), (32, 5), (64, 16), (128, 4)])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_double_precision_matches_readable_form(channels, length, kind, columns, training):
    module = attention(channels, length, kind).train(training)
    reference = copy.deepcopy(module)
    x = maps(channels, length, columns)
    weight = torch.randn_like(x)
    ours = run(lambda x: fused.axial_attention(module, x), module, x, weight)
    theirs = run(reference, reference, x, weight)
    for name, value in theirs.items():
        # Gates before a norm have almost no gradient: it leaves through the norm's epsilon.
        tolerance = 1e-7 if name.endswith(("gate_query", "gate_key")) else 1e-10
        torch.testing.assert_close(
            ours[name], value, rtol=tolerance, atol=1e-10 * (1 + value.abs().max().item()), msg=name
        )


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_is_as_good_as_the_readable_form(kind):
    exact = attention(32, 32, kind)
    single, readable = copy.deepcopy(exact).float(), copy.deepcopy(exact).float()
    x = maps(32, 32, columns=False)
    weight = torch.randn_like(x)
    truth = run(exact, exact, x, weight)
    ours = run(single, single, x.float(), weight.float())
    with fused.readable():
        theirs = run(readable, readable, x.float(), weight.float())
    for name, value in truth.items():
        error = (ours[name] - value).norm()
        usual = (theirs[name] - value).norm()
        # A gate's gradient is a small rest of thousands of terms, and rounds as they do.
        assert error <= (5e-4 if "gate_" in name else 3 * usual + 1e-5 * value.norm()), name


def test_readable_switches_the_fused_form_off():
    x = torch.zeros(1)
    assert fused.available(x)
    with fused.readable():
        assert not fused.available(x)
    assert fused.available(x)
    assert not fused.available(x.double())
    with torch.autocast("cpu"):
        assert not fused.available(x)


def test_any_number_of_threads_gives_the_same_output():
    module, x = attention(16, 16, "positions").float().eval(), maps(16, 16, columns=True).float()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = module(x)
        torch.set_num_threads(2)
        two = module(x)
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(one, two, rtol=0, atol=0)


@pytest.mark.parametrize("architecture", ["medt", "logo"])
def test_whole_network_matches_readable_form(architecture):
    torch.manual_seed(0)
    network = build_network(architecture).eval().to(memory_format=torch.channels_last)
    x = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        ours = network(x)
        with fused.readable():
            theirs = network(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("failure", [ImportError("no LLVM"), RuntimeError("no such instruction")])
def test_numba_that_cannot_compile_is_done_without(monkeypatch, caplog, failure):
    """The same numbers come from torch, and the log says so once."""

    def probe():
        raise failure

    module = attention(16, 20, "gated").float().eval()
    x = maps(16, 20, columns=False).float()
    expected = module(x)
    fused._compiles.cache_clear()
    monkeypatch.setattr(fused.kernels, "probe", probe)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)
    module(x)
    assert not fused.available(x)
    assert caplog.text.count(str(failure)) == 1
    fused._compiles.cache_clear()


@pytest.mark.parametrize("failure", ["ModuleNotFoundError", "OSError", "RuntimeError"])
def test_numba_that_cannot_be_imported_is_done_without(tmp_path, failure):
    """Whatever it raises: a missing shared object of LLVM is an OSError."""
    (tmp_path / "numba.py").write_text(f"raise {failure}('no libllvmlite.so')\n")
    source = Path(fused.__file__).parents[2]
    paths = os.pathsep.join([str(tmp_path), str(source)])
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split("\n")[:2] == ["(1, 2, 128, 128)"] * 2, done.stderr
    assert done.stderr.count("no libllvmlite.so") == 1, "said once in the log"
