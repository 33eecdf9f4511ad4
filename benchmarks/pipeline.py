"""What a user waits for: start, cold and warm runs, large images, memory; and equal masks.

    python -m benchmarks.pipeline [--data DATA]

Takes a few minutes and writes results/pipeline.json. Leave the machine alone meanwhile. With DATA,
whose folders are named as the models, instead counts the pixels of the validation images in which
the folded networks' masks differ from the readable ones', and writes results/masks.json; this may
be done on a busy machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import imageio.v3 as imageio
import numpy as np

from benchmarks.report import RESULTS, machine, spread, tell
from napari_medt.models.store import Model

MODEL = "nuclei-fluorescence"
SAMPLE = Path("src/napari_medt/sample_data/images/fluorescence_nuclei.png")

WITHIN = """
import resource, sys, time
import numpy as np
from napari_medt.engine import predict, segment
from napari_medt.models.store import load_model

side = int(sys.argv[1])
sample = np.load(sys.argv[2])
image = np.tile(sample, (side // sample.shape[0] + 1, side // sample.shape[1] + 1))[:side, :side]
model = load_model(sys.argv[3])
segment.segment(sample, model)
idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
inside, plain = [], predict.run

def run(*args):
    start = time.perf_counter()
    out = plain(*args)
    inside.append(time.perf_counter() - start)
    return out

predict.run = run
start = time.perf_counter()
segment.segment(image, model)
total = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(total, sum(inside), (peak - idle) / 1024)
"""


def python(*arguments, **environment):
    """Run Python; returns the seconds it took and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - start, done.stdout


def import_time():
    code = "from time import perf_counter as t; a = t(); import napari_medt; print(t() - a)"
    return [float(python("-c", code)[1]) for _ in range(5)]


def cold_start(folder):
    """Process start to finished mask of 512 x 512 on the command line."""
    image = folder / "image.png"
    imageio.imwrite(image, np.tile(imageio.imread(SAMPLE), (2, 2))[:512, :512])
    command = ("-m", "napari_medt.cli", "segment", str(image), "--model", MODEL)
    output = ("--output", str(folder / "out"), "--again")
    cache = {"NUMBA_CACHE_DIR": str(folder / "cache")}
    first, _ = python(*command, *output, **cache)
    return first, [python(*command, *output, **cache)[0] for _ in range(5)]


def within(folder, side):
    """Seconds in all and in the network, and megabytes above idle, for a square image."""
    sample = folder / "sample.npy"
    np.save(sample, imageio.imread(SAMPLE))
    _, printed = python("-c", WITHIN, str(side), str(sample), MODEL)
    return [float(number) for number in printed.split()]


class Readable(Model):
    """A model that runs its readable network, not the folded one."""

    def inference_network(self, device="cpu"):
        return self.network.to(device)


def differing_pixels(model, samples):
    """Count all pixels, and those in which masks of the readable and the folded network differ.

    The SHA-256 says for which weights.
    """
    from napari_medt.engine.segment import segment
    from napari_medt.network import fused
    from napari_medt.training.evaluate import read_pair_for

    readable = Readable(model.card, model.network)
    differ = pixels = 0
    for sample in samples:
        image, _ = read_pair_for(model, sample)
        with fused.readable():
            expected = segment(image, readable, device="cpu").labels > 0
        differ += int((expected != (segment(image, model, device="cpu").labels > 0)).sum())
        pixels += expected.size
    return {
        "weights_sha256": model.card.sha256,
        "images": len(samples),
        "pixels": pixels,
        "differing": differ,
    }


def compare_masks(data):
    """Every bundled model that `data` has images for, the results written as they come."""
    from napari_medt.models.store import bundled_cards, load_model
    from napari_medt.training.samples import find_samples

    results = {}
    for name in bundled_cards():
        if (data / name / "val").is_dir():
            results[name] = differing_pixels(load_model(name), find_samples(data / name / "val"))
            tell(RESULTS / "masks.json", results)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folders named as the models")
    data = parser.parse_args().data
    if data:
        compare_masks(data)
    else:
        tell(RESULTS / "pipeline.json", measure())


def measure():
    """Run all measurements."""
    results = {"machine": machine(), "import, s": spread(import_time())}
    with tempfile.TemporaryDirectory() as name:
        first, warm = cold_start(Path(name))
        results["512 x 512 on the command line, first ever, s"] = first
        results["512 x 512 on the command line, s"] = spread(warm)
        runs = [within(Path(name), 1024) for _ in range(3)]
        results["1024 x 1024, s"] = spread([run[0] for run in runs])
        results["1024 x 1024, share in the network"] = median(run[1] / run[0] for run in runs)
        results["2000 x 2000, MB above idle"] = within(Path(name), 2000)[2]
    return results


if __name__ == "__main__":
    main()
