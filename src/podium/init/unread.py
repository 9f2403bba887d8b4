"""Hints on converting unsupported files, for errors about missing files."""

from podium.core.errors import UserError
from podium.init.survey import Survey

MAX_KINDS = 3  # in a message
DOCUMENTS = {  # files that contain no data
    ".md", ".rst", ".pdf", ".doc", ".docx", ".html", ".htm", ".py", ".ipynb", ".r", ".m", ".sh",
    ".yaml", ".yml", ".toml", ".ini", ".cfg", ".log", ".xls", ".xlsx", ".txt", "(no suffix)",
}  # fmt: skip
CONVERT = "Convert them to PNG under the same names"
VOLUMES = "Write slices of them as PNG files, and a table of their labels"
TABLE = "Write a CSV with a column of image ids and a column of labels"
AUDIO = "Write spectrograms as PNG files under the same names"
VIDEOS = "Write frames of them as PNG files, and a table of their labels"
KINDS = {  # suffix -> name of the format, and how to convert it
    **dict.fromkeys((".nii", ".nii.gz"), ("NIfTI volumes", VOLUMES)),
    **dict.fromkeys((".mhd", ".mha", ".nrrd"), ("volumes", VOLUMES)),
    ".raw": ("raw pixels", CONVERT),
    **dict.fromkeys((".dng", ".nef", ".cr2", ".arw"), ("raw photos", CONVERT)),
    **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv", ".webm"), ("videos", VIDEOS)),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), ("pickled objects", CONVERT)),
    **dict.fromkeys((".pt", ".pth", ".ckpt"), ("tensors or weights of PyTorch", CONVERT)),
    **dict.fromkeys((".wav", ".ogg", ".mp3", ".flac", ".m4a", ".aif", ".aiff"), ("audio", AUDIO)),
    ".mat": ("MATLAB data", CONVERT),
    ".feather": ("Feather tables", "Save them as Parquet or CSV files"),
    ".xml": ("XML", TABLE),
    ".json": ("JSON, one per image?", TABLE),
    ".tsv": ("tables, one per image?", TABLE),
    **dict.fromkeys(
        (".zip", ".7z", ".tar", ".tgz", ".tar.gz"), ("archives in archives", "Unpack them")
    ),
    ".rar": ("RAR archives", "Unpack them"),
    ".zst": ("Zstandard archives", "Unpack them"),
}


def hint(survey: Survey) -> str:
    """Which kinds of files are not supported, and how to convert them; "" if there are none, or
    fewer than images.
    """
    kinds = [
        (kind, count)
        for kind, count in survey.ignored.items()
        if kind not in DOCUMENTS and count >= len(survey.images)
    ]
    parts = []
    for kind, count in kinds[:MAX_KINDS]:
        name, fix = KINDS.get(kind, ("", CONVERT))
        shown = f" ({name})" if name else ""
        files = f"{count:,} {kind} files" if count > 1 else f"{kind} files"
        parts.append(f"{files}{shown} are not supported. {fix}, and use the folder.")
    return " ".join(parts)


def explain(error: UserError, survey: Survey) -> UserError:
    """Append the `hint` to an error."""
    text = hint(survey)
    return UserError(f"{error}\n{text}") if text and text not in str(error) else error
