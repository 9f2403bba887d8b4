"""What git says, and what is recorded when it refuses."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from podium.core.errors import UserError
from podium.init import guard
from podium.submission import git, provenance

Git = Callable[..., str]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Run git in a committed repository with two projects; the working directory is one of them."""
    for name in ("GIT_DIR", "GIT_CONFIG_COUNT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("mine/src/a.py", "mine/params.yaml", "mine/README.md", "mine/dvc.lock",
                 "mine/metrics/a.json", "mine/submissions/history.csv", "mine/docs/src/b.md",
                 "other/src/a.py", "other/params.yaml"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    monkeypatch.chdir(tmp_path / "mine")

    def run(*arguments: str) -> str:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    run("init", "--quiet", str(tmp_path))
    run("add", "--all", str(tmp_path))
    run("commit", "--quiet", "--message", "x")
    return run


def changed() -> list[str]:
    record = provenance._git()
    assert record is not None
    return list(record["changed"])


def test_only_files_that_results_depend_on_make_a_commit_dirty(repository: Git) -> None:
    for name in ("README.md", "dvc.lock", "metrics/a.json", "submissions/history.csv",
                 "docs/src/b.md", "../other/src/a.py", "../other/params.yaml"):  # fmt: skip
        Path(name).write_text("2\n")
    assert provenance._git() == {"commit": repository("rev-parse", "HEAD"), "changed": []}
    Path("src/a.py").write_text("2\n")
    Path("params.yaml").unlink()
    Path("src/new \N{SNOWMAN}.py").write_text("2\n")
    assert sorted(line[:3] for line in changed()) == [" D ", " M ", "?? "]
    assert " M src/a.py" in changed() and " D params.yaml" in changed()
    repository("add", "--all", "src")
    assert "M  src/a.py" in changed()


@pytest.mark.usefixtures("repository")
def test_the_error_names_the_repository_of_another_user(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UserError, match=r"dubious ownership(.|\n)*safe\.directory"):
        guard.check_committed(Path("params.yaml"), command="make recipe")
    assert provenance._git() is None
    assert "dubious ownership" in capsys.readouterr().out


def test_without_a_repository_or_without_git_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git.output("status") is None and provenance._git() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git.output("status") is None and provenance._git() is None
    assert capsys.readouterr().out == ""


def test_a_repository_without_commits_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert provenance._git() is None and "any commits" in capsys.readouterr().out
