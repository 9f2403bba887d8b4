"""Merge recipes/NAME.yaml into params.yaml; without NAME, list the recipes."""

import argparse
import difflib
from pathlib import Path

from podium.core import files, params_file, program
from podium.core.errors import UserError, nearest
from podium.init import guard, merge
from podium.params import schema
from podium.submission import text_tables

RECIPES = Path("recipes")


def main() -> None:
    """Apply a recipe and print what it changed."""
    parser = argparse.ArgumentParser(prog="make recipe", description=__doc__)
    parser.add_argument("name", nargs="?")
    name = parser.parse_args().name
    recipes = {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}
    if name is None:
        rows = [("recipe", "experiment"), *((n, _title(path)) for n, path in recipes.items())]
        print(text_tables.plain(rows))
        return
    if name not in recipes:
        hint = nearest(name, recipes) or f" (recipes: {', '.join(recipes)})"
        raise UserError(f"recipe {name} not found{hint}")
    guard.check_committed(params_file.PARAMS, command="make recipe")
    before = params_file.PARAMS.read_text(encoding="utf-8")
    after = merge.apply(before, recipes[name].read_text(encoding="utf-8"))
    source = f"{params_file.PARAMS} with {recipes[name]}"
    schema.validate(params_file.parse(after, source=source), source=source)
    files.write_text(params_file.PARAMS, after)
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    print("".join(difflib.unified_diff(*lines, "before", "after", n=0)), end="")


def _title(recipe: Path) -> str:
    return recipe.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")


if __name__ == "__main__":
    program.run(main)
