import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import competitions
import numpy as np
import pytest

from podium.core.errors import UserError
from podium.images import store
from podium.images.store import ImageStore


def pictures(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        f"{number:03d}": rng.integers(0, 256, (5, 4, 3), dtype=np.uint8) for number in range(count)
    }


def write(path: Path, images: dict[str, np.ndarray], *, encode: str = "png") -> Path:
    path.parent.mkdir(exist_ok=True)
    rows = ((image, competitions.encode(pixels)) for image, pixels in images.items())
    store.write_shard(path, rows, encode=encode)
    return path


def test_images_are_found_by_id_whatever_file_and_batch_they_are_in(tmp_path: Path) -> None:
    images = pictures(2 * store.RECORD_BATCH_SIZE + 3)
    names = list(images)
    write(tmp_path / "00000.arrow", {name: images[name] for name in names[:1]})
    write(tmp_path / "00001.arrow", {name: images[name] for name in names[1:]})
    opened = ImageStore(tmp_path)
    assert len(opened) == len(images)
    for name in reversed(names):
        assert name in opened
        assert np.array_equal(opened.decode(name), images[name])


def test_an_unknown_id_is_an_error_with_the_id(tmp_path: Path) -> None:
    write(tmp_path / "00000.arrow", pictures(2))
    opened = ImageStore(tmp_path)
    assert "007" not in opened
    with pytest.raises(UserError, match="image 007 not found"):
        opened.decode("007")


def test_the_same_images_make_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, pictures(70)) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_a_file_may_hold_no_image_at_all(tmp_path: Path) -> None:
    write(tmp_path / "00000.arrow", {})
    write(tmp_path / "00001.arrow", pictures(1))
    assert len(ImageStore(tmp_path)) == 1


def test_originals_are_decoded_whatever_they_are(tmp_path: Path) -> None:
    transparent = np.zeros((5, 4, 4), np.uint8)
    write(tmp_path / "00000.arrow", {"1": transparent}, encode="original")
    assert (ImageStore(tmp_path).decode("1") == 255).all()


def test_a_missing_store_is_an_error_with_the_command_that_creates_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"contains no prepared images\. Run `dvc repro prepare`"):
        ImageStore(tmp_path / "nothing")


@pytest.mark.parametrize("kept", [0, 10, 400, -1])
def test_a_truncated_file_is_an_error_with_its_path(tmp_path: Path, kept: int) -> None:
    write(tmp_path / "00000.arrow", pictures(3))
    path = write(tmp_path / "00001.arrow", pictures(3))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"00001\.arrow is damaged.*dvc repro --force prepare"):
        ImageStore(tmp_path)


@pytest.mark.parametrize("encode", ["jpeg", "original"])
def test_an_image_that_cannot_be_decoded_is_an_error_with_its_id(
    tmp_path: Path, encode: str
) -> None:
    store.write_shard(tmp_path / "0.arrow", iter([("007", b"no image")]), encode=encode)
    with pytest.raises(UserError, match=r"image 007 in .*: not an image"):
        ImageStore(tmp_path).decode("007")


def test_an_open_store_works_in_another_process(tmp_path: Path) -> None:
    images = pictures(2)
    write(tmp_path / "00000.arrow", images)
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        pixels = pool.submit(ImageStore(tmp_path).decode, "001").result()
    assert np.array_equal(pixels, images["001"])
