"""Read back what trackers recorded of a run."""

import contextlib
import json
import sqlite3
import struct
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML


class TrackedRun(NamedTuple):
    """A run as recorded by a tracker."""

    curves: dict[str, list[tuple[int, float]]]  # steps and values
    config: dict[str, str]
    images: list[bytes]


def tensorboard(folder: Path) -> dict[str, TrackedRun]:
    """Each run below `folder`. Purged events are not read, as in TensorBoard."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runs = {}
    for path in sorted((folder / "runs").glob("*/*")):
        events = EventAccumulator(str(path), size_guidance={"scalars": 0, "images": 0})
        events.Reload()
        curves = {
            name: [(event.step, event.value) for event in events.Scalars(name)]
            for name in events.Tags()["scalars"]
        }
        images = [
            event.encoded_image_string
            for name in events.Tags()["images"]
            for event in events.Images(name)
        ]
        (config,) = path.glob("*/hparams.yml")
        settings = YAML(typ="safe").load(config)
        text = {name: str(value) for name, value in settings.items()}
        runs[path.name] = TrackedRun(curves, text, images)
    return runs


def mlflow(folder: Path) -> dict[str, TrackedRun]:
    """Each run of the file store in `folder`."""
    runs = {}
    for path in sorted(p for p in (folder / "mlruns").glob("*/*") if (p / "metrics").is_dir()):
        curves = {}
        for file in (path / "metrics").iterdir():
            rows = [line.split()[:3] for line in file.read_text().splitlines()]
            curves[file.name] = [(int(step), float(value)) for _, value, step in rows]
        config = {file.name: file.read_text() for file in (path / "params").iterdir()}
        images = [file.read_bytes() for file in (path / "artifacts").glob("*.png")]
        runs[(path / "tags/podium.run").read_text()] = TrackedRun(curves, config, images)
    return runs


def wandb(folder: Path) -> dict[str, TrackedRun]:
    """Each run of which `folder` has offline files: one file per start of the process."""
    runs = dict[str, TrackedRun]()
    for path in sorted((folder / "wandb").glob("offline-run-*/*.wandb")):
        run = runs.setdefault(path.stem.removeprefix("run-"), TrackedRun({}, {}, []))
        for record in _wandb_records(path):
            kind = record.WhichOneof("record_type")
            if kind == "history":
                row = {
                    (i.key or i.nested_key[0]): json.loads(i.value_json)
                    for i in record.history.item
                }
                for name, value in row.items():
                    if isinstance(value, int | float) and not name.startswith("_"):
                        run.curves.setdefault(name, []).append((int(row["_step"]), float(value)))
            if kind == "config":
                for item in record.config.update:
                    run.config[item.key or item.nested_key[0]] = item.value_json
        images = sorted(path.parent.glob("files/media/images/*.png"))
        run.images.extend(image.read_bytes() for image in images)
    return runs


def _wandb_records(path: Path) -> "list[Any]":
    """The records of a file in LevelDB's log format: blocks of 32 KiB, chunks with a header of 7
    bytes; the file's first 7 bytes are W&B's.
    """
    from wandb.proto import wandb_internal_pb2

    data, position, records, begun = path.read_bytes(), 7, list[Any](), b""
    while position + 7 <= len(data):
        room = 32768 - position % 32768
        if room < 7:
            position += room
            continue
        length, kind = struct.unpack_from("<HB", data, position + 4)
        if kind == 0:  # a file that was not closed
            break
        begun += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(begun)
            records.append(record)
            begun = b""
    return records


def trackio(folder: Path) -> dict[str, TrackedRun]:
    """Each run of the database in `folder`/trackio, where TRACKIO_DIR should be."""
    runs = dict[str, TrackedRun]()
    for database in (folder / "trackio").glob("*.db"):
        with contextlib.closing(sqlite3.connect(database)) as connection:
            for name, text in connection.execute("select run_name, config from configs"):
                config = {key: str(value) for key, value in json.loads(text).items()}
                runs[name] = TrackedRun({}, config, [])
            rows = "select run_name, step, metrics from metrics order by id"
            for name, step, text in connection.execute(rows):
                for key, value in json.loads(text).items():
                    if isinstance(value, dict):
                        path = folder / "trackio/media" / value["file_path"]
                        runs[name].images.append(path.read_bytes())
                    else:
                        runs[name].curves.setdefault(key, []).append((step, value))
    return runs


READERS = {"tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb, "trackio": trackio}
