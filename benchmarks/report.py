"""What benchmarks report: the machine, medians with their spread, and files of results."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch

RESULTS = Path(__file__).parent / "results"
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
MALLOC = ("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


def machine():
    """What the figures depend on."""
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": names[0],
        "cores": len(names),
        "threads": torch.get_num_threads(),
        "load at start": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numba": version("numba"),
        "malloc": {name: os.environ[name] for name in MALLOC if name in os.environ} or "default",
        "waiting threads": {n: os.environ[n] for n in WAITING if n in os.environ},
    }


def spread(values):
    return {"median": median(values), "min": min(values), "max": max(values)}


def write(path, results):
    """Write results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_json(results) + "\n", encoding="utf-8")


def tell(path, results):
    """Print results as JSON, and write them."""
    print(as_json(results), flush=True)  # first: they may have taken long
    write(path, results)


def as_json(results):
    return json.dumps(results, indent=2)
