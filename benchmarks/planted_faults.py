"""Measure which planted faults `make look` finds.

    python benchmarks/planted_faults.py data/weather.zip --weights mobilenetv2_100.safetensors

Plants into a copy of a competition: 20 identical and 20 re-encoded, cropped or mirrored copies of
training images, half of them among the test images; 5 % flipped labels; a watermark on one class;
darker test images. What is reported for the unchanged competition, too, does not count.
"""

import argparse
import csv
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
IDENTICAL, CHANGED = 20, 20
FLIPPED = 0.05
DARKER = 0.7
SHOW = """
import sys

from podium.core import files, paths
from podium.config.embeddings import Embedding
from podium.explore import faults, findings
from podium.explore.data import read

seed = int(sys.argv[1])
network = files.read_json(paths.EXPLORE)
data = read(network and Embedding.model_validate(network), seed=seed)
found = findings.find(data, seed=seed)
sets = {}
for row, number in enumerate(found.sets):
    if number >= 0:
        part = "test" if row >= data.n_train else "train"
        sets.setdefault(int(number), []).append([part, data.ids[row]])
print(files.json.dumps({
    "sets": list(sets.values()),
    "issues": [data.ids[issue.row] for issue in found.issues.found],
    "differences": [d.name for d in found.differences if d.is_reported],
    "drift": None if found.drift is None else found.drift.auc,
    "is_drift": found.drift is not None and found.drift.is_reported,
    "shortcuts": [[s.feature, s.label, s.auc] for s in faults.found_shortcuts(found)],
}))
"""
Image = tuple[str, str]  # train or test, and the id


@dataclass
class Planted:
    """The faults planted into a copy."""

    copies: dict[frozenset[Image], str] = field(default_factory=dict)
    flipped: set[str] = field(default_factory=set)
    classes: list[str] = field(default_factory=list)
    watermarked: str = ""


def main() -> None:
    """Print a row per archive and fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--weights", default=True, help="a file; else timm's own")
    parser.add_argument("--architecture", default="mobilenetv2_100")
    parser.add_argument("--seeds", nargs="+", type=int, default=[42])
    options = parser.parse_args()
    print("| images | seed | fault | planted | reported | precision | recall |")
    print("|---|---|---|---|---|---|---|")
    for archive in options.archives:
        network = {"architecture": options.architecture, "pretrained": options.weights}
        before, _ = look(archive, network, options.seeds[0], plant=False)
        for seed in options.seeds:
            found, planted = look(archive, network, seed, plant=True)
            for row in compare(found, before, planted):
                print(f"| {archive.stem} | {seed} | {' | '.join(row)} |", flush=True)
        print(f"| {archive.stem} | | none | 0 | {_summary(before)} | | |", flush=True)


def look(
    archive: Path,
    network: dict,
    seed: int,
    *,
    plant: bool,
    script: str = SHOW,
    arguments: Sequence[str] = (),
) -> tuple[Any, Planted]:
    """What a script (by default, all checks) finds in an archive, or in a copy with planted faults.
    It gets the seed and the `arguments`, and prints JSON.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, planted = Path(name), Planted()
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        copy = folder / "data" / archive.name
        write(archive, copy, planted if plant else None, random.Random(seed))

        def run(*command: str, **environment: str) -> str:
            variables = os.environ | {"PYTHONPATH": "src"} | environment
            done = subprocess.run(
                command, cwd=folder, env=variables, check=True, capture_output=True, text=True
            )
            return done.stdout

        init = (sys.executable, "-m", "commands.init", "--yes", f"data/{archive.name}")
        run(*init, PODIUM_INIT_ARGS="--quick")
        path, yaml = folder / "params.yaml", YAML()
        params = yaml.load(path)
        params["embeddings"] = {"frozen": {**network, "image_size": 224}}
        params["probes"], params["models"] = {"probe": {"features": ["frozen"]}}, {}
        params["ensemble"]["members"], params["prepare"]["max_size"] = ["probe"], 256
        params["folds"] |= {"count": 5, "run": [0, 1, 2, 3, 4]}
        yaml.dump(params, path)
        run("dvc", "repro", "-q", "folds")
        output = run(sys.executable, "-c", script, str(seed), *arguments)
        return json.loads(output.splitlines()[-1]), planted


def write(archive: Path, copy: Path, planted: Planted | None, rng: random.Random) -> None:
    """Copy an archive with its ids and labels only, and plant faults."""
    with zipfile.ZipFile(archive) as source:
        files = {entry.filename: source.read(entry) for entry in source.infolist()}
    for name, data in files.items():
        if name.endswith(".csv"):
            files[name] = _table(_only_labels(list(csv.reader(io.StringIO(data.decode())))))
    if planted is not None:
        _plant(files, planted, rng)
    with zipfile.ZipFile(copy, "w") as target:
        for name, data in files.items():
            target.writestr(name, data)


def _plant(files: dict[str, bytes], planted: Planted, rng: random.Random) -> None:
    table = next(n for n in sorted(files) if "train" in n.lower() and n.endswith(".csv"))
    rows = list(csv.reader(io.StringIO(files[table].decode())))
    ids = {PurePosixPath(row[0]).stem: row[0] for row in rows[1:]}
    label = {row[0]: row[1] for row in rows[1:]}
    images: dict[Image, str] = {}
    for name in sorted(files):
        part, stem = name.split("/")[0], PurePosixPath(name).stem
        if "/" in name and part in ("train", "test"):
            image = ids[stem] if part == "train" else stem
            images[part, image] = name
    suffix = PurePosixPath(rows[1][0]).suffix  # test ids have it if training ids do
    images = {(p, i + suffix * (p == "test")): name for (p, i), name in images.items()}

    classes = Counter(label.values()).most_common()
    planted.classes = [name for name, _ in classes]
    planted.watermarked = planted.classes[1]
    for (part, image), name in images.items():
        if part == "train" and label[image] == planted.watermarked:
            files[name] = _change(files[name], _watermark)

    train = sorted(image for image in images if image[0] == "train")
    test = sorted(image for image in images if image[0] == "test")
    count = IDENTICAL + CHANGED
    chosen = rng.sample(train, count + count // 2)
    sources, targets = chosen[:count], chosen[count:] + rng.sample(test, count - count // 2)
    rng.shuffle(targets)
    changes = {"re-encoded": _reencode, "cropped": _crop, "mirrored": _mirror}
    kinds = ["identical"] * IDENTICAL + [*changes] * CHANGED
    for original, target, kind in zip(sources, targets, kinds, strict=False):
        data = files[images[original]]
        files[images[target]] = _change(data, changes[kind], rng) if kind in changes else data
        planted.copies[frozenset((original, target))] = kind
        if target[0] == "train":
            label[target[1]] = label[original[1]]
    touched = {*sources, *targets}
    for image in test:
        if image not in touched:
            files[images[image]] = _change(files[images[image]], _darken)
    free = [image for part, image in train if (part, image) not in touched]
    names = sorted(set(label.values()))
    for image in rng.sample(free, round(FLIPPED * len(train))):
        label[image] = rng.choice([name for name in names if name != label[image]])
        planted.flipped.add(image)
    files[table] = _table([rows[0], *([row[0], label[row[0]]] for row in rows[1:])])


def _only_labels(rows: list[list[str]]) -> list[list[str]]:
    """The ids and labels, without other targets."""
    keep = [0] + [n for n, name in enumerate(rows[0]) if n and name == "label"]
    return [[row[n] for n in keep] for row in rows]


def _table(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _change(data: bytes, function: Callable, *arguments: random.Random) -> bytes:
    """Decode an image, change its pixels, and encode it as JPEG."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    pixels, quality = function(pixels, *arguments)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return cv2.imencode(".jpg", np.ascontiguousarray(pixels), options)[1].tobytes()


def _reencode(pixels: np.ndarray, rng: random.Random) -> tuple[np.ndarray, int]:
    return pixels, rng.randint(40, 75)


def _crop(pixels: np.ndarray, rng: random.Random) -> tuple[np.ndarray, int]:
    """Crop 80 to 95 % of each axis at a random position."""
    sides = [(size, round(size * rng.uniform(0.8, 0.95))) for size in pixels.shape[:2]]
    (top, height), (left, width) = ((rng.randint(0, size - new), new) for size, new in sides)
    return pixels[top : top + height, left : left + width], 90


def _mirror(pixels: np.ndarray, _: random.Random) -> tuple[np.ndarray, int]:
    return pixels[:, ::-1], 90


def _darken(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    return (pixels * DARKER).astype(np.uint8), 92


def _watermark(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    height, width = pixels.shape[:2]
    size = max(0.24, height / 256 * 0.48)
    cv2.putText(
        pixels,
        "(c) AGENCY",
        (width // 2, round(0.95 * height)),
        cv2.FONT_HERSHEY_SIMPLEX,
        size,
        (255, 255, 255),
        max(1, round(2.5 * size)),
        cv2.LINE_AA,
    )
    return pixels, 92


def compare(found: dict, before: dict, planted: Planted) -> list[list[str]]:
    """A row per fault: name, planted, reported, precision, recall. Pairs of images that are also
    reported for the unchanged competition do not count.
    """
    pairs = _pairs(found) - _pairs(before)
    # Planted copies of an image that already had copies join its set.
    indirect = {pair for pair in pairs if _joins_known(pair, before, planted)}
    identical = {pair for pair, kind in planted.copies.items() if kind == "identical"}
    changed = set(planted.copies) - identical
    rows = []
    for name, wanted, other in (
        ("identical copies", identical, changed),
        ("changed copies", changed, identical),
    ):
        reported = pairs - other - (indirect - wanted)
        rows.append(_row(name, wanted, reported))
    rows.append(_row("flipped labels", planted.flipped, set(found["issues"])))
    shortcuts = found["shortcuts"]
    right = [s for s in shortcuts if " at the bottom" in s[0] and len(found["shortcuts"])]
    shown = "; ".join(f"{name} ({label}, AUC {auc:.2f})" for name, label, auc in shortcuts)
    is_binary = len(planted.classes) == 2  # either label will do
    hit = any(is_binary or label == planted.watermarked for _, label, _ in right)
    rows.append(["watermark", planted.watermarked, shown or "none", "", str(int(hit))])
    drift = f"AUC {found['drift']:.2f}; {', '.join(found['differences'])}"
    dark = found["is_drift"] and "brightness" in found["differences"]
    rows.append(["darker test images", "all", drift, "", str(int(dark))])
    return rows


def _pairs(found: dict) -> set[frozenset[Image]]:
    images = [[tuple(image) for image in members] for members in found["sets"]]
    return {frozenset((a, b)) for members in images for a in members for b in members if a < b}


def _joins_known(pair: frozenset[Image], before: dict, planted: Planted) -> bool:
    """Whether two images are copies only transitively, through planted copies and those that the
    competition already had.
    """
    links = _pairs(before) | set(planted.copies)
    reached, a = set(), next(iter(pair))
    edge = {a}
    while edge:
        reached |= edge
        edge = {image for link in links if link & edge for image in link} - reached
    return pair <= reached


def _row(name: str, wanted: set, reported: set) -> list[str]:
    right = len(wanted & reported)
    precision = f"{right / len(reported):.2f}" if reported else ""
    return [name, str(len(wanted)), str(len(reported)), precision, f"{right / len(wanted):.2f}"]


def _summary(before: dict) -> str:
    shown = "; ".join(f"{name} ({label})" for name, label, _ in before["shortcuts"]) or "none"
    return (
        f"{len(_pairs(before))} pairs of copies, {len(before['issues'])} labels, "
        f"shortcuts: {shown}, drift: AUC {before['drift']:.2f}, "
        f"differences: {', '.join(before['differences']) or 'none'}"
    )


if __name__ == "__main__":
    main()
