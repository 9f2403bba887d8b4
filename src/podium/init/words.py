"""Words in the names of columns, files and folders: whole words, never parts of other words."""

import re

FORMS = {
    "train": "train|training|trained",
    "test": "tests?|testing",
    "val": "val|valid|validation",
    "valid": "val|valid|validation",
    "image": "images?|imaging",
    "img": "imgs?",
    "label": "labels?|labell?ed|labell?ing",
    "sample": "samples?",
    "submission": "submissions?|submit|benchmarks?",
    "mask": "masks?|masked",
    "annot": "annots?|annotations?|annotated",
    "segment": "segments?|segmented|segmentations?",
    "thumb": "thumbs?|thumbnails?",
    "depth": "depths?",
}
# Words that are written together with those: "traindata", "xtest", "testset", "depthmap", "testa".
COMPOUNDS = (
    "data|dataset|sets?|files?|folders?|dir|csv|ids?|photos?|pictures?|pics?|maps?|info|meta|lists?"
    "|format|jpe?g|png|sub|solution|split|part|stage|all|full|small|large|big|new|x|y|a|b|c"
)
_ANY = "|".join((*FORMS.values(), COMPOUNDS))


def name_parts(name: str) -> list[str]:
    """The words of a name in lower case: "imageLabel_2" -> image, label."""
    spaced = re.sub(r"([a-z\d])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3 \2\4", name)
    return re.findall(r"[^\W\d_]+", spaced.lower())


def has_part(name: str, words: tuple[str, ...]) -> bool:
    """Whether a word of a column's name is one of `words`, or its plural: "image_label" has no
    "age", "country" no "count".
    """
    return any(part in words or part.removesuffix("s") in words for part in name_parts(name))


def has_word(name: str, *words: str) -> bool:
    """Whether a word of a file's or folder's name is one of `words`, keys of `FORMS`, in one of its
    forms, or a compound of it: "submission" is in "sampleSubmission.csv", "train" in "traindata",
    "test" not in "latest.csv", "val" not in "valley".
    """
    forms = "|".join(FORMS[word] for word in words)
    pattern = re.compile(f"(?:{_ANY})*(?:{forms})(?:{_ANY})*")
    return any(pattern.fullmatch(part) for part in name_parts(name))
