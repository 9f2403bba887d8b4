"""Find the largest batch size that fits this device, and write it into params.yaml."""

import argparse
import math
from pathlib import Path

from podium import batch_size, config, device, files, overlay, setup, stage
from podium import seed as seeding

SECTIONS = ("seed", "deterministic", "models.{model}", "folds.run")
DATA = Path("data")


def main() -> None:
    """Try batch sizes for the command line's model; pin the largest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    name = parser.parse_args().model
    seed, deterministic, model, run = config.load(*SECTIONS, model=name)
    seeding.set_deterministic(deterministic)  # other algorithms take other memory
    made = setup.set_up(model, setup.read_data(DATA), fold=run[0], seed=seed)

    trial = batch_size.Trial(made)

    def share(size: int) -> float:
        found = trial.share(size)
        taken = f"take {found:.0%} of the memory" if found < math.inf else "do not fit"
        print(f"{size:5d} images {taken}", flush=True)
        return found

    size = batch_size.largest(
        share,
        at_most=len(made.loaders.train.dataset),  # type: ignore[arg-type]
        may_fail=made.accelerator.device.type == "cuda",
    )
    text = config.PARAMS.read_text(encoding="utf-8")
    files.write_text(config.PARAMS, overlay.set_model_key(text, name, "batch_size", size))
    where = device.name(made.accelerator.device)
    print(f"models.{name}.batch_size: {size} (was {model.batch_size}), measured on {where}")


if __name__ == "__main__":
    stage.run(main)
