"""Write recipes/NAME.yaml over params.yaml; without NAME, list the recipes."""

import argparse
import difflib
from pathlib import Path

from podium.core import files, params_file, program
from podium.core.errors import UserError, nearest
from podium.init import guard, merge
from podium.params import schema

RECIPES = Path("recipes")


def main() -> None:
    """Apply a recipe, and show what it changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?")
    name = parser.parse_args().name
    known = {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}
    if name is None:
        for stem, path in known.items():
            print(f"{stem:32}{path.read_text().splitlines()[0].removeprefix('# ')}")
        return
    if name not in known:
        hint = nearest(name, known) or f"; there are {', '.join(known)}"
        raise UserError(f"there is no recipe {name}{hint}")
    guard.refuse_to_lose(params_file.PARAMS, what="a recipe")
    before = params_file.PARAMS.read_text()
    after = merge.apply(before, known[name].read_text())
    source = f"{known[name]} over {params_file.PARAMS}"
    schema.validate(params_file.parse(after, source=source), source=source)
    files.write_text(params_file.PARAMS, after)
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    print("".join(difflib.unified_diff(*lines, "before", "after", n=0)), end="")


if __name__ == "__main__":
    program.run(main)
