"""Add models to params.yaml that differ from one in their seed only, or remove them."""

import argparse

from podium.core import files, params_file, program
from podium.core.errors import UserError, counted
from podium.init import seeds
from podium.params import schema


def main() -> None:
    """Add such models or remove them, and print their names."""
    parser = argparse.ArgumentParser(prog="make seeds", description=__doc__)
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("--count", default="", help="number of seeds, the model's own included")
    options = parser.parse_args()
    params, model = schema.load(), options.model
    if model in params.probes:
        raise UserError(f"{model} is a probe: its result does not depend on a seed.")
    params.model(model)  # or fail
    if not options.count.isdecimal() or int(options.count) < 1:
        given = f", not {options.count!r}" if options.count else ", such as N=3"
        raise UserError(f"N must be a whole number of at least 1{given}.")
    edited = seeds.set_count(
        params_file.PARAMS.read_text(encoding="utf-8"), model, int(options.count)
    )
    if not edited.added and not edited.removed:
        print(f"params.yaml already has {counted(int(options.count), 'seed')} of {model}.")
        return
    schema.validate(params_file.parse(edited.text, source="the edited params.yaml"))
    files.write_text(params_file.PARAMS, edited.text)
    verb, names = ("Added to", edited.added) if edited.added else ("Removed from", edited.removed)
    print(f"{verb} params.yaml: {', '.join(names)}. Next: dvc repro")
    if edited.added and model not in params.ensemble.members:
        print(f"Like {model}, they are not in ensemble.members.")


if __name__ == "__main__":
    program.run(main)
