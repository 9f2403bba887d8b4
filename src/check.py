"""params.yaml -> data/params.checked: a mistake in any section stops the pipeline at once."""

from podium.core import files, params_file, paths, program
from podium.params import schema

SECTIONS = tuple(schema.Params.model_fields)


def main() -> None:
    """Validate the whole params file. The output is constant, so no other stage reruns for it."""
    schema.validate(params_file.read(params_file.PARAMS))
    files.write_text(paths.CHECKED, "params.yaml is valid\n")


if __name__ == "__main__":
    program.run(main)
