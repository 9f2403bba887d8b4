"""The cluster's token."""

from pathlib import Path

import pytest

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
    with pytest.raises(UserError, match="a cluster needs a token"):
        token.require()
    file.parent.mkdir()
    file.touch(0o600)
    with pytest.raises(UserError, match="a cluster needs a token"):
        token.require(create=True)


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
