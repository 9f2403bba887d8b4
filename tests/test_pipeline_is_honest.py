"""dvc.yaml against the code: a stage declares all the code and all the params that it uses."""

import ast
import importlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from podium.scoring import import_closure

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"
PODIUM = SRC / "podium"
PIPELINE: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]

# Packages in import order: each imports only those before it.
ORDER = (
    *("core", "config", "competition", "images", "metadata", "scoring", "dataset", "models"),
    "features",
    *("training", "prediction", "submission", "params", "planning", "init", "kaggle", "pages"),
    *("explore", "cluster", "search", "kaggle_gpu"),
)
MAX_LINES = 250

# Code that a stage declares, as part of a package, without importing it: an edit there reruns the
# stage for nothing. Each of these stages takes a second or two; train and predict have none.
METHODS = {
    f"methods/{name}" for name in ("base", "greedy", "rank", "stack", "temperature", "weighted")
}
BLENDING = {
    *("blend", "contributions", "ensemble", "members", "new_class", "target_scores", "thresholds"),
    *METHODS,
}
REPORT = {"detail_tables", "report", "solution", "target_tables", "text_tables"}
FORMATS = {"formats", "target_formats", "write"}
SUBMISSION = BLENDING | REPORT | FORMATS | {"git", "provenance"}
EXTRA = {
    "check": {f"models/{name}.py" for name in ("device", "inference", "weights")},
    # An archive that is intact is kept.
    "fetch": {f"core/{name}.py" for name in ("checksums", "manifest", "provenance")}
    | {"competition/folder.py", "competition/text/cell_lists.py"},
    # The stores are rebuilt, with the same bytes: list dataset's files one by one if that hurts.
    "prepare": {"core/seeding.py", "dataset/splitting.py"},
    "folds": {"competition/text/cell_lists.py"},
    "explore": {"models/weights.py"},
    "embed": {"models/weights.py"},
    "probe": {"core/seeding.py"} | {f"models/{n}.py" for n in ("device", "inference", "inputs")},
    **{stage: set[str]() for stage in ("train", "predict", "train_all", "predict_all")},
    "ensemble": {f"submission/{n}.py" for n in SUBMISSION - BLENDING},
    "submission": {f"submission/{n}.py" for n in SUBMISSION - FORMATS - {"git", "provenance"}}
    | {"core/seeding.py", "scoring/units.py"},
    "report": {f"submission/{n}.py" for n in SUBMISSION - REPORT - FORMATS} | {"core/seeding.py"},
    "page": {f"submission/{n}.py" for n in SUBMISSION - REPORT - FORMATS}
    | {f"images/{n}.py" for n in ("loading", "ordered", "sampling", "watchdog", "workers")}
    | {"core/seeding.py", "models/device.py", "models/inference.py"},
}

# Params that a stage reads without declaring them, since they cannot change its result: those for
# reporting the time left, and the trackers.
REPORTED = {"competition.slug", "folds", "models", "trackers"}
UNDECLARED = {stage: {"checkpoint.every_minutes", *REPORTED} for stage in ("train", "train_all")}
UNDECLARED["check"] = {"trackers"}


def closure(path: Path, root: Path = ROOT) -> set[str]:
    """A file, all of ours that it imports, directly or not, and the templates that these read, as
    dvc.yaml names them.
    """
    files = import_closure.closure(path, root / "src")
    needed = [*files, *(template for file in files for template in templates(file))]
    return {file.relative_to(root).as_posix() for file in needed}


def templates(path: Path) -> list[Path]:
    """The files next to a module, other than code, whose names it contains."""
    others = [file for file in path.parent.iterdir() if file.is_file() and file.suffix != ".py"]
    nodes = ast.walk(ast.parse(path.read_bytes())) if others else ()
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    return [file for file in others if file.name in texts]


def declared(stage: str, root: Path = ROOT) -> dict[str, set[str]]:
    """The files of code, and templates, in each of a stage's deps."""
    deps = [dep for dep in PIPELINE[stage]["deps"] if dep.startswith("src/")]
    assert len(set(deps)) == len(deps)
    return {
        dep: {path.relative_to(root).as_posix() for path in sources_in(root / dep)} or {dep}
        for dep in deps
    }


def sources_in(folder: Path) -> list[Path]:
    """All files below a folder but compiled ones; none if it is a file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if "__pycache__" not in path.parts]


def undeclared(stage: str, root: Path = ROOT) -> set[str]:
    """The code that a stage imports and does not declare."""
    needed = code(closure(root / "src" / f"{stage}.py", root))
    return needed.difference(*declared(stage, root).values())


def wrong_imports(src: Path = SRC) -> list[str]:
    """The imports of a package that comes later in ORDER."""
    wrong = []
    for path in (src / "podium").rglob("*.py"):
        name = path.relative_to(src)
        for file in import_closure.imported(path, src):
            other = file.relative_to(src)
            is_in_package = other.parts[0] == "podium" and len(other.parts) > 2
            if is_in_package and ORDER.index(other.parts[1]) > ORDER.index(name.parts[1]):
                wrong.append(f"{name} imports {other}")
    return wrong


def code(paths: set[str]) -> set[str]:
    """Ignores the packages' `__init__.py`, which contain only a docstring."""
    return {path for path in paths if not path.endswith("__init__.py")}


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in SRC.rglob("*.py"):
        yield path, ast.parse(path.read_text())


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_declares_all_the_code_that_it_imports(stage: str) -> None:
    assert not undeclared(stage)
    deps, needed = declared(stage), code(closure(SRC / f"{stage}.py"))
    files = set[str]().union(*deps.values())
    for dep, inside in deps.items():
        assert inside & needed, f"{stage} uses nothing of {dep}"
    assert code(files) - needed == {f"src/podium/{name}" for name in EXTRA[stage]}


def test_a_package_init_contains_only_a_docstring() -> None:
    for path in PODIUM.rglob("__init__.py"):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree) and len(tree.body) == 1, path


def test_imports_run_one_way() -> None:
    folders = {path.parent for path in PODIUM.glob("*/**/*.py")}
    assert {folder.name for folder in folders if folder.parent == PODIUM} == set(ORDER)
    assert all((folder / "__init__.py").exists() for folder in folders)
    assert [path.name for path in PODIUM.glob("*.py")] == ["__init__.py"]
    assert not wrong_imports()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of our code, to break."""
    shutil.copytree(SRC, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "from podium.kaggle import submit\n",
        "from podium.kaggle.submit import submit\n",
        "def f():\n    import podium.kaggle.submit\n",
    ],
)
def test_an_import_against_the_order_is_found(copied: Path, line: str) -> None:
    with (copied / "src/podium/core/files.py").open("a") as file:
        file.write(line)
    assert set(wrong_imports(copied / "src")) == {
        f"podium/core/files.py imports podium/kaggle/{name}.py" for name in ("__init__", "submit")
    }


def test_an_undeclared_import_is_found_in_the_stages_that_run_it(copied: Path) -> None:
    with (copied / "src/podium/training/loop.py").open("a") as file:
        file.write("from podium.submission import text_tables\n")
    new = {"src/podium/submission/text_tables.py"}
    assert {stage: undeclared(stage, copied) for stage in PIPELINE} == {
        stage: new if stage in ("train", "train_all") else set() for stage in PIPELINE
    }


def test_an_undeclared_template_is_found_in_the_stages_that_read_it(copied: Path) -> None:
    module = copied / "src/podium/features/extract.py"
    module.write_text(module.read_text() + 'NAMES = "names.txt"\n')
    assert not any(undeclared(stage, copied) for stage in PIPELINE)
    (module.parent / "names.txt").write_text("a\n")
    assert {stage: undeclared(stage, copied) for stage in PIPELINE} == {
        stage: {"src/podium/features/names.txt"} if stage in ("explore", "embed") else set()
        for stage in PIPELINE
    }


def test_no_module_is_long() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in SRC.rglob("*.py")}
    assert not {path for path, length in lengths.items() if length > MAX_LINES}


def test_dvc_yaml_is_readable() -> None:
    assert len((SRC.parent / "dvc.yaml").read_text().splitlines()) < 200


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_declares_exactly_the_params_that_it_loads(stage: str) -> None:
    params = {re.sub(r"\$\{item\.(\w+)\}", r"{\1}", name) for name in PIPELINE[stage]["params"]}
    module = importlib.import_module(stage)
    assert params == set(module.SECTIONS)
    assert set(getattr(module, "UNDECLARED", ())) == UNDECLARED.get(stage, set())


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_loads_its_declared_sections_and_nothing_else(stage: str) -> None:
    source = (SRC / f"{stage}.py").read_text()
    calls = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("params_file.")
    ]
    expected = {"check": ["params_file.read(params_file.PARAMS)"]}.get(
        stage,
        ["params_file.load(SECTIONS"] + ["params_file.load(UNDECLARED"] * (stage in UNDECLARED),
    )
    assert len(calls) == len(expected)
    assert all(call.startswith(start) for call, start in zip(calls, expected, strict=True))
    assert (
        "params.yaml" not in re.sub(r'""".*?"""', "", source, flags=re.DOTALL) or stage == "check"
    )


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_depends_on_the_tables_that_it_reads(stage: str) -> None:
    tables = re.findall(r"\.csv\(\"(\w+\.csv)\"\)", (SRC / f"{stage}.py").read_text())
    assert {f"data/{table}" for table in tables} <= set(PIPELINE[stage]["deps"])


def test_only_stages_and_commands_read_params() -> None:
    """The library gets its params as arguments."""
    for path in PODIUM.rglob("*.py"):
        calls = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
        }
        allowed = path == PODIUM / "params" / "schema.py"  # what the commands call
        assert allowed or not calls & {"params_file.load", "params_file.read", "schema.load"}, path


def test_the_library_never_imports_a_stage_and_stages_never_each_other() -> None:
    stages = {*SRC.glob("*.py"), *(SRC / "commands").glob("*.py")}
    for path in SRC.rglob("*.py"):
        assert not import_closure.imported(path, SRC) & stages, path


def test_nothing_is_imported_relatively() -> None:
    """Import closures support only absolute imports."""
    for path, tree in sources():
        for node in ast.walk(tree):
            assert not isinstance(node, ast.ImportFrom) or node.level == 0, path


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_has_a_description_and_a_file_of_its_name(stage: str) -> None:
    assert PIPELINE[stage]["desc"]
    assert f"python src/{stage}.py" in PIPELINE[stage]["cmd"]


def test_no_file_of_ours_hides_a_package_that_we_import() -> None:
    ours = {path.stem for path in SRC.iterdir()}
    names = {
        name.split(".")[0]
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert ours & names == {"podium"}


def test_nothing_of_ours_looks_at_the_clock() -> None:
    """Which may be set: durations are monotonic, and the newer of two files is not asked for."""
    for path, tree in sources():
        names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not names & {"time.time", "datetime.now", "datetime.datetime.now"}, path
        assert not any(name.endswith((".st_mtime", ".st_mtime_ns")) for name in names), path
