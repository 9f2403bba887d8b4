import io
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import competitions
import pytest
from conftest import Project

from podium.competition import fetch as sources
from podium.competition.archive import Archive
from podium.config.competition import Competition
from podium.core import csvs
from podium.core.errors import UserError

FILES = {"train.csv": b"id,label\n1,a\n", "train/1.png": b"pixels" * 50, "train/b/2.png": b"more"}
Fetch = Callable[..., bool]


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Fetches a competition called "shapes" into raw/ and solution/ of the current folder."""
    monkeypatch.chdir(tmp_path)

    def run(source: str = "files.zip", solution: str | None = None) -> bool:
        competition = Competition(source=source, slug="shapes", solution=solution)
        return sources.fetch(competition, raw=Path("raw"), solution=Path("solution"))

    return run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return competitions.write_zip(tmp_path / "files.zip", FILES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "files"


FETCHED = Path("raw/shapes.zip")


def contents(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_a_zip_is_copied(fetch: Fetch, source: Path) -> None:
    assert fetch()
    assert FETCHED.read_bytes() == source.read_bytes()
    assert contents(Path("raw")) == {"shapes.zip", "source.json"}
    assert contents(Path("solution")) == {"known.json"}


def test_the_home_folder_may_be_written_as_a_tilde(
    fetch: Fetch, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(source.parent))
    assert fetch("~/files.zip")
    assert FETCHED.read_bytes() == source.read_bytes()


@pytest.mark.usefixtures("folder")
def test_a_folder_is_packed_with_all_that_it_holds(fetch: Fetch) -> None:
    assert fetch("files")
    packed = Archive(FETCHED)
    assert {name: packed.read(name) for name in packed.names} == FILES


def test_a_folder_is_packed_in_the_order_of_its_names(fetch: Fetch, tmp_path: Path) -> None:
    names = [f"{number * 7 % 30:02d}.png" for number in range(30)]
    (tmp_path / "images").mkdir()
    for name in names:
        (tmp_path / "images" / name).touch()
    fetch("images")
    assert Archive(FETCHED).names == sorted(names)


def test_a_folder_is_packed_to_the_same_bytes_whenever_it_was_written(
    fetch: Fetch, folder: Path
) -> None:
    fetch("files")
    first = FETCHED.read_bytes()
    shutil.rmtree(folder)
    for name, data in reversed(FILES.items()):  # written in another order, at another time
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (1e9, 1e9))
    fetch("files")
    assert FETCHED.read_bytes() == first


def test_a_folder_is_packed_again_when_a_file_changed(fetch: Fetch, folder: Path) -> None:
    fetch("files")
    (folder / "train.csv").write_bytes(b"id,label\n1,z\n")
    assert fetch("files")
    assert Archive(FETCHED).read("train.csv") == b"id,label\n1,z\n"


@pytest.mark.usefixtures("source")
def test_an_intact_archive_is_kept(fetch: Fetch) -> None:
    fetch()
    os.utime(FETCHED, (1e9, 1e9))
    assert not fetch()
    assert FETCHED.stat().st_mtime == 1e9


def test_an_intact_archive_is_kept_when_its_source_is_gone(fetch: Fetch, source: Path) -> None:
    fetch()
    source.unlink()
    assert not fetch()


def test_an_archive_is_fetched_again_when_the_users_zip_changed(fetch: Fetch, source: Path) -> None:
    fetch()
    competitions.write_zip(source, {**FILES, "train.csv": b"id,label\n1,z\n"})
    assert fetch()
    assert FETCHED.read_bytes() == source.read_bytes()
    assert not fetch()


def test_an_archive_is_fetched_again_when_it_is_damaged(fetch: Fetch, source: Path) -> None:
    fetch()
    damaged = bytearray(source.read_bytes())
    damaged[40] ^= 0xFF
    FETCHED.write_bytes(damaged)
    assert fetch()
    assert FETCHED.read_bytes() == source.read_bytes()


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("lost", ["shapes.zip", "source.json"])
def test_an_archive_is_fetched_again_when_a_file_is_lost(fetch: Fetch, lost: str) -> None:
    fetch()
    (Path("raw") / lost).unlink()
    assert fetch()
    assert contents(Path("raw")) == {"shapes.zip", "source.json"}


@pytest.mark.usefixtures("source")
def test_another_source_replaces_the_archive(fetch: Fetch, folder: Path) -> None:
    fetch()
    (folder / "train.csv").write_bytes(b"id,label\n1,z\n")
    assert fetch("files")
    assert Archive(FETCHED).read("train.csv") == b"id,label\n1,z\n"


@pytest.mark.usefixtures("source")
def test_what_another_competition_left_goes(fetch: Fetch) -> None:
    Path("raw").mkdir()
    Path("raw/digits.zip").touch()
    fetch()
    assert contents(Path("raw")) == {"shapes.zip", "source.json"}


def encrypted(data: bytes) -> bytes:
    """A zip whose first entry says that it is encrypted, as with a password."""
    changed = bytearray(data)
    changed[6] |= 1  # the flags of the local header and of the directory's entry
    changed[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def cut_short(data: bytes) -> bytes:
    """A zip whose first header says that more follows it than the file has."""
    return data[:29] + b"\xff" + data[30:]


def damaged(data: bytes) -> bytes:
    at = data.index(b"pixels")
    return data[:at] + b"X" + data[at + 1 :]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: b"<html>404</html>", r"files\.zip is not a readable zip archive"),
        (lambda _: b"", r"files\.zip is not a readable zip archive"),
        (lambda data: data[:-30], r"files\.zip is not a readable zip archive"),
        (cut_short, r"files\.zip is not a readable zip archive"),
        (encrypted, r"files\.zip is not a readable zip archive: .*password"),
        (damaged, r"files\.zip is damaged: .* train/1\.png"),
    ],
)
def test_a_damaged_zip_is_an_error_and_leaves_no_files(
    fetch: Fetch, source: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    source.write_bytes(change(source.read_bytes()))
    with pytest.raises(UserError, match=message):
        fetch()
    assert contents(Path("raw")) == set()


def test_every_byte_of_a_compressed_zip_is_checked(fetch: Fetch, source: Path) -> None:
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as output:
        output.writestr("train.csv", bytes(range(50)))
    intact = source.read_bytes()
    for at in range(39, 89):  # after a header of 30 bytes and a name of 9
        source.write_bytes(intact[:at] + bytes([intact[at] ^ 0xFF]) + intact[at + 1 :])
        with pytest.raises(UserError, match=r"files\.zip is"):
            fetch()


@pytest.mark.parametrize("mask", [0xFF, 0x08, 0x01])
def test_no_damaged_byte_of_a_zip_is_more_than_an_error(
    fetch: Fetch, source: Path, mask: int
) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as output:
        output.writestr("é.csv", b"id,label")
    with zipfile.ZipFile(source, "w") as output:
        output.writestr("ü.csv", b"id,label")
        output.writestr("inner.zip", inner.getvalue())
    intact, refused = source.read_bytes(), 0
    for at in range(len(intact)):
        source.write_bytes(intact[:at] + bytes([intact[at] ^ mask]) + intact[at + 1 :])
        try:
            fetch()
        except UserError:
            refused += 1
    assert refused > len(intact) / 2


def test_a_missing_source_is_an_error_with_its_path(fetch: Fetch) -> None:
    with pytest.raises(UserError, match="nowhere is neither `builtin`, `kaggle`, nor a folder"):
        fetch("nowhere")
    assert contents(Path("raw")) == set()


@pytest.mark.usefixtures("source")
def test_the_solution_is_copied_and_removed_when_it_is_unset(fetch: Fetch) -> None:
    Path("labels.csv").write_bytes(b"id,label\n4,a\n")
    fetch(solution="labels.csv")
    assert Path("solution/solution.csv").read_bytes() == b"id,label\n4,a\n"
    Path("labels.csv").write_bytes(b"id,label\n4,b\n")
    assert not fetch(solution="labels.csv")
    assert Path("solution/solution.csv").read_bytes() == b"id,label\n4,b\n"
    fetch()
    assert contents(Path("solution")) == {"known.json"}


@pytest.mark.usefixtures("source")
def test_a_missing_solution_is_an_error_with_its_path(fetch: Fetch) -> None:
    with pytest.raises(UserError, match=r"competition\.solution: file labels\.csv"):
        fetch(solution="labels.csv")


def test_the_embedded_competition_comes_with_its_solution(fetch: Fetch) -> None:
    assert fetch("builtin")
    assert len(csvs.read(Path("solution/solution.csv"))) == 450
    assert "train.csv" in Archive(FETCHED).names
    before = FETCHED.read_bytes()
    assert fetch("builtin")  # written again: its code may have changed
    assert FETCHED.read_bytes() == before


@pytest.fixture
def from_kaggle(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with Kaggle as its source, on a machine where nobody has logged in."""
    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "KAGGLE_CONFIG_DIR"):
        monkeypatch.setenv(name, str(project.folder / "home"))
    project.edit(lambda params: params["competition"].update(source="kaggle"))
    return project


def test_without_credentials_one_message_says_how_to_get_some(from_kaggle: Project) -> None:
    done = from_kaggle.stage("fetch")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: no Kaggle credentials found. Create a token at https://")
    assert "KAGGLE_API_TOKEN" in lines[0]
    assert contents(from_kaggle.folder / "data/raw") == set()


def test_without_a_network_there_is_one_message(from_kaggle: Project) -> None:
    nowhere = "http://127.0.0.1:9"  # the discard port: refused at once
    done = from_kaggle.stage(
        "fetch", KAGGLE_API_TOKEN="KGAT_1", HTTPS_PROXY=nowhere, https_proxy=nowhere
    )
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: failed to log in to Kaggle: ")


def test_a_fetch_that_fails_keeps_the_archive_that_was_there(fetch: Fetch, source: Path) -> None:
    fetch()
    with pytest.raises(UserError, match=r"nowhere\.zip is neither"):
        fetch("nowhere.zip")
    assert FETCHED.read_bytes() == source.read_bytes()
    assert not fetch()  # intact: kept


def test_a_damaged_record_means_fetching_again(fetch: Fetch, source: Path) -> None:
    fetch()
    Path("raw/source.json").write_text("{")
    assert fetch()
    assert source.read_bytes() == FETCHED.read_bytes()


def test_another_slug_leaves_no_archive_of_the_one_before(fetch: Fetch, source: Path) -> None:
    fetch()
    competition = Competition(source=str(source), slug="other")
    sources.fetch(competition, raw=Path("raw"), solution=Path("solution"))
    assert contents(Path("raw")) == {"other.zip", "source.json"}


@pytest.mark.parametrize("place", [".", "raw", "raw/mine"])
def test_a_source_folder_that_overlaps_the_archive_folder_is_an_error(
    fetch: Fetch, place: str
) -> None:
    Path(place).mkdir(parents=True, exist_ok=True)
    (Path(place) / "train.csv").write_bytes(b"id,label")
    with pytest.raises(UserError, match=r"competition\.source: .* overlaps"):
        fetch(place)
    assert (Path(place) / "train.csv").exists()


def test_a_source_that_a_queued_experiment_lacks_is_explained(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dvc exp run --temp` and --queue work in a copy of what git tracks."""
    competitions.write_zip(tmp_path / "files.zip", FILES)
    copy = tmp_path / ".dvc/tmp/exps/tmp1"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    with pytest.raises(UserError, match="what git tracks: use an absolute path"):
        fetch()
    assert fetch(str(tmp_path / "files.zip"))
