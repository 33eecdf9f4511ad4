"""Speed of MedT on this CPU: as published, and in our forms.

    python -m benchmarks.speed [--quick]

Takes about five minutes and writes results/speed.json and results/speed.png. Leave the machine
alone meanwhile. In every round each form runs once, in alternating order, so that a speed-up
compares runs close in time. Results are medians, with minimum and maximum. The branch settings of
our fastest form are compared with each other in the same way.
"""

import argparse
import time
from functools import partial

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from benchmarks.published import Published
from benchmarks.report import RESULTS, machine, spread, write
from napari_medt.network import fused
from napari_medt.network.config import BRANCHES
from napari_medt.network.fold import fold
from napari_medt.network.networks import build_network

ROUNDS = {1: 25, 4: 11, 16: 5}


def readable(run):
    """Keep a form off the kernels."""
    with fused.readable():
        run()


def inference(batch, branches):
    """The forms of one forward pass."""
    network = build_network("medt").eval()
    folded = fold(network)
    x = torch.rand(batch, 3, 128, 128)
    return {
        "published": partial(Published(network), x, branches),
        "readable": partial(readable, partial(network, x, branches)),
        "folded, torch": partial(readable, partial(folded, x, branches)),
        "folded, Numba": partial(folded, x, branches),
    }


def settings(batch):
    """The branch settings of our fastest form."""
    folded = fold(build_network("medt").eval())
    x = torch.rand(batch, 3, 128, 128)
    return {branches: partial(folded, x, branches) for branches in BRANCHES}


def training(batch):
    """The forms of one forward and backward pass."""
    x, target = torch.rand(batch, 3, 128, 128), torch.randint(2, (batch, 128, 128))

    def step(network):
        network.zero_grad()
        F.cross_entropy(network(x), target).backward()

    pooled, per_patch = build_network("medt").train(), build_network("medt").train()
    per_patch.patch_statistics = "per_patch"
    return {
        "published": partial(step, Published(build_network("medt")).train()),
        "fused, per patch": partial(step, per_patch),
        "fused, pooled": partial(step, pooled),
    }


def measure(forms, rounds):
    """Time all forms in turn; the first one is what the others are compared with."""
    seconds = {form: [] for form in forms}
    for run in forms.values():
        run()
    for number in range(rounds):
        for form in list(forms)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            forms[form]()
            seconds[form].append(time.perf_counter() - start)
    first = next(iter(seconds.values()))
    return {
        form: {
            "milliseconds": spread([1000 * t for t in times]),
            "speed-up": spread([a / b for a, b in zip(first, times, strict=True)]),
        }
        for form, times in seconds.items()
    }


def show(title, result):
    print(title)
    for form, figures in result.items():
        ms, ratio = figures["milliseconds"], figures["speed-up"]
        print(
            f"  {form:18}{ms['median']:8.1f} ms ({ms['min']:.1f}-{ms['max']:.1f})"
            f"{ratio['median']:8.1f}x ({ratio['min']:.1f}-{ratio['max']:.1f})",
            flush=True,
        )


def draw(results, about, path):
    """Speed-ups as bars, with the smallest and largest as lines."""
    figure, axes = plt.subplots(
        1, len(results), figsize=(18, 4.5), sharey=True, layout="constrained", squeeze=False
    )
    medians = [f["speed-up"]["median"] for result in results.values() for f in result.values()]
    axes[0][0].set_ylim(0, 1.2 * max(medians))  # single rounds may be disturbed by other work
    for axis, (title, result) in zip(axes[0], results.items(), strict=True):
        ratios = [figures["speed-up"] for figures in result.values()]
        heights = [ratio["median"] for ratio in ratios]
        ends = [[r["median"] - r["min"] for r in ratios], [r["max"] - r["median"] for r in ratios]]
        bars = axis.bar(range(len(result)), heights, yerr=ends, color=plt.cm.tab10(range(4)))
        axis.bar_label(bars, [f"{height:.1f}" for height in heights], label_type="edge")
        axis.set_xticks(range(len(result)), result, rotation=60, ha="right")
        axis.set_title(title.replace(", ", "\n"), fontsize="small")
    axes[0][0].set_ylabel("times as fast as published")
    figure.suptitle(f"MedT, {about['cpu']}, {about['threads']} threads, torch {about['torch']}")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three rounds, nothing written")
    quick = parser.parse_args().quick
    torch.manual_seed(0)
    about, results, by_setting = machine(), {}, {}
    print(about)
    for batch, rounds in ROUNDS.items():
        for branches in BRANCHES:
            title = f"{branches}, batch {batch}"
            with torch.inference_mode():
                results[title] = measure(inference(batch, branches), 3 if quick else rounds)
            show(title, results[title])
    for batch, rounds in ROUNDS.items():
        title = f"batch {batch}"
        with torch.inference_mode():
            by_setting[title] = measure(settings(batch), 3 if quick else 4 * rounds)
        show(f"settings, {title}", by_setting[title])
    title = "training step, batch 4"
    results[title] = measure(training(4), 3 if quick else 7)
    show(title, results[title])
    if not quick:
        measured = {"machine": about, "results": results, "settings": by_setting}
        write(RESULTS / "speed.json", measured)
        draw(results, about, RESULTS / "speed.png")


if __name__ == "__main__":
    main()
