"""Find the largest batch size that fits this device, and write it into params.yaml."""

import argparse
import math
from pathlib import Path

from podium.core import files, params_file, program, seeding
from podium.init import merge
from podium.models import device
from podium.params import schema
from podium.training import build, memory

DATA = Path("data")


def main() -> None:
    """Try batch sizes for the command line's model; pin the largest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    name = parser.parse_args().model
    params = schema.load()
    model = params.model(name)
    seeding.set_deterministic(params.deterministic)  # other algorithms take other memory
    made = build.build(model, build.read_data(DATA), fold=params.folds.run[0], seed=params.seed)

    trial = memory.Trial(made)

    def share(size: int) -> float:
        found = trial.share(size)
        taken = f"take {found:.0%} of the memory" if found < math.inf else "do not fit"
        print(f"{size:5d} images {taken}", flush=True)
        return found

    size = memory.largest(
        share,
        at_most=len(made.loaders.train.dataset),
        may_fail=made.accelerator.device.type == "cuda",
    )
    text = params_file.PARAMS.read_text(encoding="utf-8")
    files.write_text(params_file.PARAMS, merge.set_model_key(text, name, "batch_size", size))
    where = device.name(made.accelerator.device)
    print(f"models.{name}.batch_size: {size} (was {model.batch_size}), measured on {where}")


if __name__ == "__main__":
    program.run(main)
