"""Find the largest batch size that fits this device, and write it to params.yaml."""

import argparse
import math

from podium.core import files, params_file, paths, program, seeding
from podium.init import merge
from podium.models import device
from podium.params import schema
from podium.training import build, examples, memory


def main() -> None:
    """Try growing batch sizes for one model, and set its `batch_size` to the largest that fits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="")
    name = parser.parse_args().model
    params = schema.load(build_models=True)
    config = params.model(name)
    seeding.set_deterministic(params.deterministic)  # some algorithms need more memory
    data = build.read_data(paths.DATA)
    run = build.build(config, data, fold=params.folds.run[0], seed=config.seed_or(params.seed))
    trial = memory.Trial(run)

    def memory_share(batch_size: int) -> float:
        share = trial.memory_share(batch_size)
        result = f"{share:.0%} of the memory" if share < math.inf else "out of memory"
        print(f"batch size {batch_size:5d}: {result}", flush=True)
        return share

    largest = memory.largest_batch(
        memory_share,
        max_size=run.loaders.train.batch_sampler.count,
        may_run_out=run.accelerator.device.type == "cuda",
        noun=examples.noun(config),
    )
    text = params_file.PARAMS.read_text(encoding="utf-8")
    files.write_text(params_file.PARAMS, merge.set_key(text, "models", name, "batch_size", largest))
    device_name = device.name(run.accelerator.device)
    print(
        f"models.{name}.batch_size: {largest} (was {config.batch_size}), measured on {device_name}"
    )


if __name__ == "__main__":
    program.run(main)
