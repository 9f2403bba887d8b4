"""The documents against the code."""

import re
import shutil
import subprocess
from pathlib import Path

import file_kinds
import layouts
import pytest
import test_any_competition
import test_faulty_input
from conftest import PARAMS, ROOT, Project
from ruamel.yaml import YAML

from podium.params import schema

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def documented(*headings: str) -> list[str]:
    """The first cells of the tables below these headings of docs/layouts.md."""
    text = (ROOT / "docs/layouts.md").read_text()
    parts = {part.partition("\n")[0]: part for part in text.split("\n## ")}
    rows = [re.findall(r"^\| (.+?) \|", parts[heading], re.MULTILINE)[1:] for heading in headings]
    return [cell.replace("\\|", "|") for cells in rows for cell in cells]


def test_every_documented_layout_is_tested() -> None:
    rows = documented("Images", "Labels and ids", "Sample submissions")
    assert rows == [*layouts.DOCUMENTED]
    builders = {name for names, _ in layouts.DOCUMENTED.values() for name in names}
    assert builders == set(layouts.BUILDERS)
    assert {name for _, name in layouts.DOCUMENTED.values()} == {*test_any_competition.COMPETITIONS}


def test_every_further_layout_is_tested() -> None:
    assert documented("Further layouts") == [*layouts.FURTHER]
    for name in (name for names in layouts.FURTHER.values() for name in names):
        module, _, function = name.rpartition(".")
        text = (ROOT / "tests" / f"{module.replace('.', '/')}.py").read_text()
        assert f"\ndef {function}(" in text, name


def test_every_documented_file_format_is_tested() -> None:
    assert documented("File formats") == [*file_kinds.DOCUMENTED]
    builders = {name for names in file_kinds.DOCUMENTED.values() for name in names}
    assert builders == set(file_kinds.BUILDERS)


def test_every_documented_fault_is_tested() -> None:
    assert documented("Unusual and invalid files") == [*test_faulty_input.CASES]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert link.startswith("https://") or (path.parent / link).exists(), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", path.read_text(), re.MULTILINE)) <= {
        pair for target in targets for pair in ((target, ""), ("", target))
    }


def test_the_readmes_params_are_valid() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    params = dict(PARAMS)
    for block in blocks:
        lines = block.splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        params.update(YAML(typ="safe").load("\n".join(line[indent:] for line in lines)))
    assert blocks
    schema.validate(params)


def test_no_lock_names_a_registry() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        assert "index-url" not in text and "://" not in text


def test_the_lock_holds_what_is_required() -> None:
    required = re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    locked = (ROOT / "requirements.txt").read_text()
    for name, version in required:
        assert re.search(rf"^{name}=={re.escape(version)}\b", locked, re.MULTILINE), name


OUTPUT_FOLDERS = ("data", "models", "submissions")


def outputs() -> list[str]:
    """The outputs of all stages, of the model "a" and its first fold."""
    values = {"competition.slug": "shapes", "item.fold": "0"}
    values |= {"item.model": "a", "item.probe": "p", "item.embedding": "e"}
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"].values()
    outs = [
        out
        for stage in stages
        for key in ("outs", "metrics", "plots")
        for out in stage.get(key, ())
    ]
    paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
    return [re.sub(r"\$\{(.+?)\}", lambda name: values[name[1]], path) for path in paths]


def test_a_clone_has_the_output_folders_and_git_ignores_the_outputs() -> None:
    command = ["git", "ls-files", *OUTPUT_FOLDERS]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    readmes = {f"{folder}/README.md" for folder in OUTPUT_FOLDERS}
    assert set(tracked.stdout.split()) - {"submissions/history.csv"} == readmes
    below = [path for path in outputs() if path.startswith(OUTPUT_FOLDERS)]
    ignored = ["git", "check-ignore", *below, *readmes]
    done = subprocess.run(ignored, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == below


def test_make_clean_removes_the_outputs_and_nothing_else(project: Project) -> None:
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    shutil.copy(ROOT / "Makefile", project.folder)
    stay = {"data/raw", "data/solution", "data/photos.zip", "data/photos-solution.csv"}
    stay |= {"submissions/history.csv", *(f"{folder}/README.md" for folder in OUTPUT_FOLDERS)}
    for name in {*outputs(), *stay}:
        path = project.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name == "models/p" else path.touch()
    project.run("make", "clean")
    left = {name for name in {*outputs(), *stay} if (project.folder / name).exists()}
    assert left == stay
    project.run("make", "clean")


@pytest.mark.slow
def test_dvc_prints_no_warnings_in_a_clone(project: Project) -> None:
    for folder in OUTPUT_FOLDERS:
        (project.folder / folder).mkdir(exist_ok=True)
        shutil.copy(ROOT / folder / "README.md", project.folder / folder)
    project.run("git", "init", "--quiet")
    project.run("git", "add", "data", "models", "submissions")
    assert "WARNING" not in project.run("dvc", "repro", "fetch").stdout
    assert project.run("git", "status", "--short", "data").stdout.split() == ["A", "data/README.md"]
