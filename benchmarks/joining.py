"""Learn again which parts of a watershed are one object, from the training images of nuclei.

    python -m benchmarks.joining --data DATA

DATA holds a folder for each bundled model, of its name, with train/. Prints the rule for
``engine/join.py``: a logistic regression on pairs of touching parts, each model's pairs weighing
alike. Examples are the pairs of the watershed itself, and those that are left when parts of one
object are one. Pairs with a part that is mostly background teach nothing.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from tqdm import tqdm

from napari_medt.engine.join import Parts, Rule
from napari_medt.engine.labels import foreground, split_objects, typical_area
from napari_medt.engine.magnify import magnification_for, typical_diameter
from napari_medt.engine.segment import predict_image
from napari_medt.models.card import CORE
from napari_medt.models.store import load_model
from napari_medt.training.data import read_pair
from napari_medt.training.samples import find_samples

MODELS = ("nuclei-fluorescence", "nuclei-histology")
# From this probability on, pairs are joined; chosen by AP on training and validation images.
LIKELY = 0.3
DECAY = 1e-3  # of the weights of standardised traits


def owners(labels, truth):
    """Which true object each label mostly lies in; 0 if in none."""
    table = np.zeros((labels.max() + 1, truth.max() + 1))
    np.add.at(table, (labels.ravel(), truth.ravel()), 1)
    owner = table.argmax(axis=1)
    return np.where(table.max(axis=1) > table.sum(axis=1) / 2, owner, 0)


def examples(probabilities, truth, card, magnification):
    """Traits of pairs of parts, and whether they are of one object."""
    core = probabilities[card.classes.index(CORE)]
    labels = split_objects(foreground(probabilities) >= card.threshold, core)
    parts = Parts(labels, core, typical_area(card.input.object_size, magnification))
    owner = owners(labels, truth)
    found, cut = list(pairs_of(parts, owner)), len(parts.parts)
    while same := next((p for p in parts.pairs() if owner[p[0]] == owner[p[1]] > 0), None):
        parts.join(same)
    return found + list(pairs_of(parts, owner)) if len(parts.parts) < cut else found


def pairs_of(parts, owner):
    for pair in parts.pairs():
        first, second = owner[list(pair)]
        if first and second:
            yield parts.traits(pair), first == second


def learn(groups):
    """Fit the rule to groups of examples that weigh alike."""
    traits = np.array([one for group in groups for one, _ in group])
    same = np.array([one for group in groups for _, one in group], float)
    weights = np.concatenate([np.full(len(group), 1 / len(group)) for group in groups])
    mean, spread = traits.mean(axis=0), traits.std(axis=0)
    inputs = np.column_stack([(traits - mean) / spread, np.ones(len(traits))])
    decay = DECAY * np.append(np.ones(traits.shape[1]), 0)

    def loss(values):
        logits = inputs @ values
        slope = weights * (expit(logits) - same)
        surprise = weights @ (np.logaddexp(0, logits) - same * logits)
        return surprise + decay @ values**2, slope @ inputs + 2 * decay * values

    values = minimize(loss, np.zeros(inputs.shape[1]), jac=True).x
    weight = values[:-1] / spread
    bias = values[-1] - weight @ mean - np.log(LIKELY / (1 - LIKELY))
    return Rule(*(round(float(value), 2) for value in (*weight, bias)))


def examples_of(name, data):
    model = load_model(name)
    found = []
    for sample in tqdm(find_samples(data / name / "train"), desc=name):
        image, truth = read_pair(sample, target="instances", num_classes=3)
        size = model.card.input.object_size
        magnification = magnification_for(typical_diameter(truth), size)
        prediction = predict_image(image, model, magnification=magnification)
        found += examples(prediction.probabilities, truth, model.card, magnification)
    return found


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="folder of folders, one a model")
    options = parser.parse_args(arguments)
    print(learn([examples_of(name, options.data) for name in MODELS]))


if __name__ == "__main__":
    main()
