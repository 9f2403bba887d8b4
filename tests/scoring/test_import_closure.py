from pathlib import Path

from podium.scoring import import_closure


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_closure_contains_imports_at_the_top_in_functions_relative_and_of_imports(
    tmp_path: Path,
) -> None:
    write(
        tmp_path,
        start="import json, direct\nfrom house import room\n",
        direct="def f():\n    from house.cellar import wine\n",
        house__room="VALUE = 1\n",
        house__attic="import start\n",
        house__cellar="import house.stairs as down\nfrom . import roof\nimport start\n",
        house__roof="from .tiles.clay import RED\nfrom .. import direct\n",
        house__tiles__clay="RED = 1\n",
        house__stairs="",
        json="",
        other="import start\n",
    )
    (tmp_path / "house/__init__.py").write_text("")
    names = [path.relative_to(tmp_path).as_posix() for path in
             import_closure.closure(tmp_path / "start.py", tmp_path)]  # fmt: skip
    assert names == [
        "direct.py",
        "house/__init__.py",
        "house/cellar.py",
        "house/roof.py",
        "house/room.py",
        "house/stairs.py",
        "house/tiles/clay.py",
        "json.py",
        "start.py",
    ]


def test_a_file_that_imports_no_other_file_is_its_own_closure(tmp_path: Path) -> None:
    write(tmp_path, alone="import os\nfrom pathlib import Path\n")
    assert import_closure.closure(tmp_path / "alone.py", tmp_path) == [tmp_path / "alone.py"]
