"""Which folder of the archive holds the training images, and which the test images."""

from collections.abc import Sequence

from podium.core.errors import UserError, examples
from podium.init.guesses import Chooser, Guess, Sureness
from podium.init.matching import Cover, Names
from podium.init.survey import Survey, look, says

ASIDE = ("mask", "annot", "segment", "thumb", "depth")
OTHER = {"train": "test", "test": "train"}


def choose_folder(
    part: str, ids: list[str], names: Names, survey: Survey, chooser: Chooser
) -> tuple[str, list[str]]:
    """The folder with the images of `part` ("train" or "test"), and some of its images."""
    covers = _leaves(names.covers(ids))
    key, several = f"prepare.{part}_images", len(covers) > 1
    if not covers:
        folders = [folder for folder in survey.folders if says(folder.rpartition("/")[2], part)]
        folder = folders[0] if folders else ""
        return str(chooser.choose(Guess(key, folder, "a guess", "no id names an image"))), []
    for wanted in (lambda f: says(f, part), lambda f: not says(f, OTHER[part], *ASIDE)):
        covers = [cover for cover in covers if wanted(cover.folder)] or covers
    best, why = _largest(covers, survey)
    count = len(set(ids))
    holds = "all ids" if best.ids == count else f"{best.ids} of {count} ids"
    sure: Sureness = "certain" if best.ids == count and not several else "likely"
    if len(covers) > 1:
        sure = "a guess"
    others = tuple(cover.folder for cover in covers if cover is not best)
    guess = Guess(key, best.folder, sure, f"it has images of {holds}{why}", others)
    folder = str(chooser.choose(guess))
    return folder, next(cover.examples for cover in covers if cover.folder == folder)


def choose_unlisted(survey: Survey, train: str, chooser: Chooser) -> str:
    """The folder whose files are the test images, where no table names them.

    Raises:
        UserError: if there is none.
    """
    folders = [f for f in _tops(survey.folders) if f != train and not is_in(f, train)]
    named = [folder for folder in folders if says(folder.rpartition("/")[2], "test")]
    aside = [f for f in folders if not says(f, "train", "val", *ASIDE) and not is_in(train, f)]
    found = named or aside
    if not found:
        raise UserError(
            f"no test images: there is no test table, no sample submission, and beside "
            f"{train or 'the training images'} no folder of images; the folders are "
            f"{examples([folder or '(top)' for folder in survey.folders])}"
        )
    sure: Sureness = "likely" if named and len(named) == 1 else "a guess"
    why = "by its name" if named else "the images that are not for training"
    guess = Guess("prepare.test_images", found[0], sure, why, tuple(found[1:]))
    return str(chooser.choose(guess))


def is_test(folder: str) -> bool:
    """Whether a folder is called so."""
    return says(folder, "test") and not says(folder.rpartition("/")[2], "train")


def outside(survey: Survey, folders: Sequence[str]) -> list[str]:
    """The folders of images that lie in none of `folders`."""
    return [
        name
        for name in survey.folders
        if not any(folder in ("", name) or is_in(name, folder) for folder in folders)
    ]


def _leaves(covers: list[Cover]) -> list[Cover]:
    """Those that no other one lies in."""
    folders = [cover.folder for cover in covers]
    above = {end for folder in folders for end in parents(folder)}
    return [cover for cover in covers if cover.folder not in above]


def parents(folder: str) -> set[str]:
    """The folders above one."""
    parts = folder.split("/") if folder else []
    return {"/".join(parts[:end]) for end in range(len(parts))}


def _largest(covers: list[Cover], survey: Survey) -> tuple[Cover, str]:
    """The one with the largest pictures, and how the others differ."""
    if len(covers) == 1:
        return covers[0], ""
    looks = {cover.folder: look(survey.archive, cover.examples) for cover in covers}
    sizes = {f: (found.height, found.width) if found else (0, 0) for f, found in looks.items()}
    best = max(covers, key=lambda cover: sizes[cover.folder][0] * sizes[cover.folder][1])
    shown = [f"{folder or '(top)'} {width} x {height}" for folder, (height, width) in sizes.items()]
    same = len(set(sizes.values())) == 1
    return best, f", as have others{'' if same else '; the largest'}: {examples(shown)}"


def _tops(folders: dict[str, int]) -> list[str]:
    """Folders that hold images, and above them those that are called test."""
    known = dict.fromkeys(folders)
    for folder in folders:
        for parent in sorted(parents(folder)):
            if says(parent.rpartition("/")[2], "test"):
                known[parent] = None
    return [f for f in known if not any(p in known for p in parents(f) if p)]


def is_in(folder: str, outer: str) -> bool:
    """Whether a folder lies in `outer`, which is not the whole archive."""
    return outer != "" and folder.startswith(f"{outer}/")
