"""A project whose stages take milliseconds: real DVC, trainings that only count steps.

A training writes a checkpoint after each step and resumes from the newest.
"""

import os
from pathlib import Path

from conftest import PARAMS, Project

STAGES = """stages:
  check: {cmd: python src/stub.py check, params: [seed], outs: [data/metric.json]}
  fetch: {cmd: python src/stub.py fetch, params: [competition], deps: [data/metric.json],
    outs: [data/raw: {cache: false}]}
  prepare: {cmd: python src/stub.py prepare, deps: [data/raw], outs: [data/images]}
  folds: {cmd: python src/stub.py folds, deps: [data/images], outs: [data/folds.csv]}
  train:
    matrix: {model: "${models}", fold: "${folds.run}"}
    cmd: python src/stub.py train ${item}
    params: ["models.${item.model}"]
    deps: [data/images, data/folds.csv, src/stub.py]
    outs: ["models/${item.model}/fold${item.fold}/weights.safetensors"]
  predict:
    matrix: {model: "${models}", fold: "${folds.run}"}
    cmd: python src/stub.py predict ${item}
    params: [predict]
    deps: ["models/${item.model}/fold${item.fold}/weights.safetensors"]
    outs: ["data/predictions/${item.model}/fold${item.fold}"]
"""
PROGRAM = """
import hashlib, json, os, pathlib, re, shutil, sys, time

SECONDS, STEPS, BYTES = (value for value in json.loads(pathlib.Path("src/stub.json").read_text()))


def write(name, data):
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def main(stage, *options):
    model, fold = options[1::2] if options else ("", "")
    weights = f"models/{model}/fold{fold}/weights.safetensors"
    if stage == "check":
        write("data/metric.json", b"{}")
    elif stage == "fetch":
        text = pathlib.Path("params.yaml").read_text()
        source = pathlib.Path(re.search(r"source: (\\S+?)[,}\\s]", text)[1])
        write("data/raw/train.csv", (source / "train.csv").read_bytes())
    elif stage == "prepare":
        write("data/images/train", pathlib.Path("data/raw/train.csv").read_bytes().upper())
    elif stage == "folds":
        write("data/folds.csv", b"0")
    elif stage == "train":
        if model == "wrong":
            sys.exit("error: models.wrong: no such optimizer.")
        folder = pathlib.Path(f".checkpoints/{model}/fold{fold}")
        heads = [json.loads(path.open("rb").readline()) for path in folder.glob("*.ckpt")]
        step = max((head["number"] for head in heads), default=0)
        print(f"starting after step {step}", flush=True)
        while step < STEPS:
            time.sleep(SECONDS)
            step += 1
            print(f"step {step} of {model}-{fold}", flush=True)
            write(folder / f"{step % 2 + 1}.ckpt", json.dumps({"number": step}).encode() + b"\\n")
        write(weights, hashlib.sha256(f"{model} {fold}".encode()).digest() * (BYTES // 32))
        shutil.rmtree(folder)
    else:
        write(f"data/predictions/{model}/fold{fold}/test", pathlib.Path(weights).read_bytes()[:64])


main(*sys.argv[1:])
"""


def create(
    folder: Path, *, models: tuple[str, ...] = ("a",), seconds: float = 0.0, steps: int = 2,
    size: int = 3200,
) -> Project:  # fmt: skip
    """A project with two folds of each model; a training takes `steps` of so many `seconds`, and
    its weights have `size` bytes.
    """
    project = Project(folder)
    (folder / "dvc.yaml").write_text(STAGES)
    (folder / "src/stub.py").write_text(PROGRAM)
    (folder / "src/stub.json").write_text(f"[{seconds}, {steps}, {size}]")
    (folder / "files").mkdir()
    (folder / "files/train.csv").write_text("id,label\n1,a\n")
    model = PARAMS["models"]["a"]
    project.edit(lambda p: p.update(models=dict.fromkeys(models, model)))
    project.edit(lambda p: p["competition"].update(source="files"))
    project.edit(lambda p: p["ensemble"].update(members=[*models]))
    with (folder / ".gitignore").open("a") as file:
        file.write("\n/outside/\n/files/\n")
    project.run("git", "init", "--quiet")
    return project


def competition(project: Project) -> dict[str, bytes]:
    """The competition's files, as Kaggle has them."""
    return {"train.csv": project.read("files/train.csv")}


def enter(project: Project, environment: dict[str, str]) -> None:
    """Work in the project's folder, with an environment, in this process."""
    os.chdir(project.folder)
    os.environ.update(environment)
