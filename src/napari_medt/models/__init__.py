"""Bundled models, user models and published checkpoints: card and weights, safely loaded."""
