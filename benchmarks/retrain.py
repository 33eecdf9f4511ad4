"""Train a bundled model again from fresh weights, by all the runs that made it.

    python -m benchmarks.retrain NAME --data DATA --output FOLDER

DATA holds a folder of train/ and val/ for each bundled model, of the model's name. FOLDER gets a
model folder for each run; the last one, FOLDER/NAME, is the model. Interrupted, the same command
goes on where it was. Prints the accuracy of both models on DATA/NAME/val.
"""

import argparse
from contextlib import chdir
from pathlib import Path

from napari_medt.models.accuracy import accuracy_lines
from napari_medt.models.store import BUNDLED, CARD_FILE, read_card
from napari_medt.training.config import TrainingConfig, read_config
from napari_medt.training.loop import train


def settings_of(run):
    """File of a run's settings: NAME is the last run of a model, NAME-ORDINAL an earlier one."""
    name, _, ordinal = run.rpartition("-")
    earlier = BUNDLED / name / f"training-{ordinal}.json"
    return earlier if earlier.exists() else BUNDLED / run / "training.json"


def runs_before(run):
    """All runs, first to last, by which the weights that a run starts from were made."""
    before = read_config(settings_of(run)).get("start_from")
    return [*runs_before(before), before] if before else []


def retrain(name, data, output, device="auto"):
    """Do all runs of a model that are not done yet."""
    data = data.absolute()
    output.mkdir(parents=True, exist_ok=True)
    with chdir(output):  # configurations name the folder of the run before
        for run in [*runs_before(name), name]:
            settings = settings_of(run)
            if not (Path(run) / CARD_FILE).exists():
                config = TrainingConfig.from_dict(read_config(settings))
                train(config, data / settings.parent.name, Path(run), device=device)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", choices=sorted(path.name for path in BUNDLED.iterdir()))
    parser.add_argument("--data", required=True, type=Path, help="folder of folders, one a model")
    parser.add_argument(
        "--output", required=True, type=Path, help="folder of model folders to make"
    )
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)
    retrain(options.name, options.data, options.output, options.device)
    for folder in (options.output, BUNDLED):
        print(f"{folder / options.name}:")
        accuracy = read_card(folder / options.name).accuracy
        print(*(f"  {line}" for line in accuracy_lines(accuracy)), sep="\n")


if __name__ == "__main__":
    main()
