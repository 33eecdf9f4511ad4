"""Bundled models, user models and published checkpoints: card and weights, safely loaded."""

DEMO_MODEL = "nuclei-fluorescence"  # what the demo and the benchmark run
