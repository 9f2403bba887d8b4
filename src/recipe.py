"""Write recipes/NAME.yaml over params.yaml; without NAME, list the recipes."""

import argparse
import difflib
import subprocess
from pathlib import Path

from podium import config, files, overlay, stage
from podium.errors import UserError

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
        hint = config.nearest(name, known) or f"; there are {', '.join(known)}"
        raise UserError(f"there is no recipe {name}{hint}")
    _refuse_to_lose_edits()
    before = config.PARAMS.read_text()
    after = overlay.apply(before, known[name].read_text())
    source = f"{known[name]} over {config.PARAMS}"
    config.validate(config.parse(after, source=source), source=source)
    files.write_text(config.PARAMS, after)
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    print("".join(difflib.unified_diff(*lines, "before", "after", n=0)), end="")


def _refuse_to_lose_edits() -> None:
    """Raises: UserError: if git could not bring back params.yaml as it now is."""
    command = ["git", "status", "--porcelain", "--", str(config.PARAMS)]
    try:
        edited = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise UserError(
            f"git does not know {config.PARAMS}, so a recipe would overwrite it for good: "
            "`git init && git add params.yaml && git commit -m params` first"
        ) from None
    if edited:
        raise UserError(
            f"{config.PARAMS} has edits that are not committed, and a recipe would lose them: "
            f"`git commit {config.PARAMS}` keeps them, `git checkout {config.PARAMS}` drops them"
        )


if __name__ == "__main__":
    stage.run(main)
