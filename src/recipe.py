"""Write recipes/NAME.yaml over params.yaml; without NAME, list the recipes."""

import argparse
import difflib
from pathlib import Path

from podium import config, edits, files, overlay, stage
from podium.errors import UserError, nearest

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
    edits.refuse_to_lose(config.PARAMS, what="a recipe")
    before = config.PARAMS.read_text()
    after = overlay.apply(before, known[name].read_text())
    source = f"{known[name]} over {config.PARAMS}"
    config.validate(config.parse(after, source=source), source=source)
    files.write_text(config.PARAMS, after)
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    print("".join(difflib.unified_diff(*lines, "before", "after", n=0)), end="")


if __name__ == "__main__":
    stage.run(main)
