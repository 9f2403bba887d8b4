"""Stages in a locale or on a terminal that is not UTF-8."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from trainings import WITH_SRC

STAGE = """
import sys
from pathlib import Path
import pandas as pd
from podium.core import console, files, program
from podium.core.errors import UserError

def main():
    (folder,) = [path for path in Path().iterdir() if path.is_dir()]
    print(folder, "\u043f\u0440\u0438\u0432\u0435\u0442 \u221e \U0001f600")
    console.say(f"{folder} again")
    files.write_csv(Path("out.csv"), pd.DataFrame({"label": [folder.name]}))
    Path("argument").write_text(sys.argv[1], encoding="utf-8")
    if sys.argv[2:]:
        raise UserError(folder.name)

program.run(main)
"""
LOCALES = [
    {"PYTHONIOENCODING": "cp1252"},
    {"PYTHONIOENCODING": "ascii:strict"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "cp1252"},
    {},
]


@pytest.mark.parametrize("locale", LOCALES, ids=str)
@pytest.mark.parametrize("option", [(), ("fail",)])
def test_printing_ends_no_stage_and_files_are_utf8(
    tmp_path: Path, locale: dict[str, str], option: tuple[str, ...]
) -> None:
    name = "\u041a\u043e\u0442"
    (tmp_path / name).mkdir()
    (tmp_path / "stage.py").write_text(STAGE, encoding="utf-8")
    source = str(Path(WITH_SRC["PYTHONPATH"]).absolute())
    inherited = {n: v for n, v in os.environ.items() if n not in ("LANG", "LC_ALL", "LC_CTYPE")}
    done = subprocess.run(
        [sys.executable, "stage.py", name, *option],
        cwd=tmp_path,
        env={**inherited, **locale, "PYTHONPATH": source},
        capture_output=True,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    assert done.returncode == len(option), done.stderr
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == f"label\n{name}\n"
    assert (tmp_path / "argument").read_text(encoding="utf-8") == name
    shown = name if not locale else name.encode("unicode_escape").decode()
    assert done.stdout.decode().startswith(shown)
    assert not option or done.stderr.decode().startswith(f"error: {shown}")


CHATTY = """
import sys
from pathlib import Path
from podium.core import console, program

def main():
    for stream in (sys.stdout, sys.stderr):
        for number in range(2000):  # more than a pipe's buffer
            print("a line that nobody reads", number, file=stream)
    for item in console.bar(range(3), "items"):
        console.say(f"item {item}")
    Path("out").write_text("done")

program.run(main)
"""


@pytest.mark.parametrize(
    "where",
    [
        "| head -1",
        "2>&1 | head -1",
        "| true",
        pytest.param(
            "> /dev/full 2> /dev/full",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only"),
        ),
        ">&-",
        ">&- 2>&-",
    ],
)
def test_output_that_nobody_takes_ends_no_stage(tmp_path: Path, where: str) -> None:
    (tmp_path / "stage.py").write_text(CHATTY)
    source = str(Path(WITH_SRC["PYTHONPATH"]).absolute())
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} stage.py {where}; echo ${{PIPESTATUS[0]}} > status"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        check=False,
    )
    assert (tmp_path / "status").read_text() == "0\n", done.stderr
    assert (tmp_path / "out").read_text() == "done"
    assert b"Traceback" not in done.stderr and b"BrokenPipe" not in done.stderr
