"""The cluster's token."""

import subprocess
import sys
from pathlib import Path

import pytest
from trainings import WITH_SRC

from podium.cluster import token
from podium.core.errors import UserError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (token.TOKEN, token.TOKEN_PATH):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(token.MODE, "disabled")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".ray/auth_token"


def test_it_is_created_once_for_the_owner_alone(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    token.require(create=True)
    text = file.read_text()
    assert len(text) == 64 and file.stat().st_mode & 0o777 == 0o600
    token.require(create=True)
    assert file.read_text() == text
    assert capfd.readouterr() == ("", "")


def test_without_a_token_nothing_starts(file: Path) -> None:
    with pytest.raises(UserError, match=r"not found: a cluster needs a token. Copy that of"):
        token.require()
    file.parent.mkdir()
    file.touch(0o600)
    with pytest.raises(UserError, match=r"auth_token is empty. Copy that of"):
        token.require(create=True)


@pytest.mark.parametrize("content", [b" \n", b"one two\n", b"one\ntwo", b"\xff\xfe"])
def test_a_file_without_one_token_is_rejected(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.touch(0o600)
    file.write_bytes(content)
    with pytest.raises(UserError, match="does not contain one token"):
        token.require()


def test_a_token_may_end_with_a_newline(file: Path) -> None:
    file.parent.mkdir()
    file.touch(0o600)
    file.write_text("abc\r\n")  # Ray ignores it, too
    token.require()


def test_a_folder_is_no_token(file: Path) -> None:
    file.mkdir(parents=True)
    with pytest.raises(UserError, match=r"cannot read .*auth_token: Is a directory"):
        token.require(create=True)


def test_processes_that_create_it_at_once_use_the_same(file: Path) -> None:
    code = (
        "from podium.cluster import token; token.require(create=True); "
        "print(token.path().read_text())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                         env={**WITH_SRC, "HOME": str(file.parents[1])})
        for _ in range(6)
    ]  # fmt: skip
    assert len({process.communicate()[0] for process in processes}) == 1
    assert len(file.read_text()) == 64 and [*file.parent.iterdir()] == [file]


def test_a_token_that_others_can_read_is_rejected(file: Path) -> None:
    token.require(create=True)
    file.chmod(0o640)
    with pytest.raises(UserError, match="chmod 600"):
        token.require()


def test_authentication_cannot_be_disabled(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token.require(create=True)
    import os

    assert os.environ[token.MODE] == "token" and os.environ[token.TOKEN_PATH] == str(file)
    monkeypatch.delenv(token.TOKEN_PATH)
