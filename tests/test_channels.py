"""Images with other than three channels, from their files to a submission."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import channel_kinds
import in_process
import kernels
import layouts
import numpy as np
import pytest
from competitions import CLASSES, competition, encode, npy
from conftest import Project

from podium.config.prepare import Prepare
from podium.core import csvs, params_file
from podium.core.errors import UserError
from podium.dataset import build
from podium.images import codec
from podium.images.decoded import ImageError
from podium.images.store import ImageStore


@pytest.mark.parametrize("name", channel_kinds.KINDS)
@pytest.mark.parametrize("encode", ["jpeg", "original"])
def test_channels_are_recognized_and_stored_without_loss(
    name: str, encode: str, tmp_path: Path
) -> None:
    contents, pixels = channel_kinds.files(name)
    found = layouts.inspect(tmp_path, contents)
    channels = channel_kinds.KINDS[name][0]
    assert found.layout.prepare["channels"] == channels
    layout, folder = Prepare(**found.layout.prepare, encode=encode), tmp_path / "images"
    stored = build.store_images(
        found.archive, found.tables.ids, folder=folder, layout=layout, processes=1
    )
    assert not stored.unusable["train"]
    for part, ids in found.tables.ids.items():
        store = ImageStore(folder / part)
        assert store.channels == channels
        for image, expected in zip(ids, pixels[part].values(), strict=True):
            assert np.array_equal(store.decode(image), expected)


@pytest.mark.parametrize(
    "build_files",
    [
        partial(channel_kinds.hdf5, one=True),
        partial(channel_kinds.hdf5, one=False),
        channel_kinds.bands,
    ],
)
def test_channels_in_containers_are_kept(
    build_files: Callable[[], tuple[dict[str, bytes], channel_kinds.Images]], tmp_path: Path
) -> None:
    contents, pixels = build_files()
    found = layouts.inspect(tmp_path, contents)
    channels = next(iter(pixels["test"].values())).shape[2]
    assert found.layout.prepare["channels"] == channels
    layout = Prepare(**found.layout.prepare, value_range=[0, 255])
    folder = tmp_path / "images"
    build.store_images(found.archive, found.tables.ids, folder=folder, layout=layout, processes=1)
    for part, ids in found.tables.ids.items():
        for image, expected in zip(ids, pixels[part].values(), strict=True):
            assert np.array_equal(ImageStore(folder / part).decode(image), expected)


@pytest.mark.parametrize(
    ("encode_as", "max_size"),
    [("jpeg", None), ("png", None), ("original", None), ("jpeg", 16), ("png", 16)],
)
def test_one_channel_stays_an_axis(encode_as: str, max_size: int | None, tmp_path: Path) -> None:
    contents = competition(9, 3)
    for name in [name for name in contents if name.endswith(("1.png", "2.png"))]:
        contents[name] = encode(codec.decode(contents[name])[..., 0])
    found = layouts.inspect(tmp_path, contents)
    changes = {"channels": 1, "encode": encode_as, "max_size": max_size}
    layout, folder = Prepare(**{**found.layout.prepare, **changes}), tmp_path / "images"
    build.store_images(found.archive, found.tables.ids, folder=folder, layout=layout, processes=1)
    shape = (20, 16, 1) if max_size else (40, 32, 1)
    for part, ids in found.tables.ids.items():
        store = ImageStore(folder / part)
        assert {store.decode(image).shape for image in ids} == {shape}
        gray = codec.decode(contents[f"{part}/{ids[1]}.png"], channels=1)
        if max_size is None:
            assert np.abs(store.decode(ids[1]).astype(int) - gray).mean() < 5


@pytest.mark.parametrize(("dtype", "to"), [(np.uint8, 1), (np.uint16, 257)])
def test_a_tiff_file_of_three_gray_channels_is_rgb(dtype: Any, to: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 16, 3)).astype(dtype) * dtype(to)
    data = channel_kinds.tiff(pixels)
    assert np.array_equal(codec.decode(data, value_range=(0, 65535)), pixels // to)
    with pytest.raises(ImageError, match=r"has 3 channels, but prepare\.channels is 4"):
        codec.decode(data, channels=4)


def test_wide_channels_are_scaled_from_one_range(tmp_path: Path) -> None:
    contents, pixels = channel_kinds.files("npy_2")
    for part, images in pixels.items():
        for image, values in images.items():
            contents[f"{part}/{image}.npy"] = npy(values.astype(np.uint16) * 100 + 7)
    found = layouts.inspect(tmp_path, contents)
    stored = build.store_images(
        found.archive,
        found.tables.ids,
        folder=tmp_path / "images",
        layout=Prepare(**found.layout.prepare),
        processes=1,
    )
    every = np.stack([*pixels["train"].values()]).astype(float)
    low, high = every.min(), every.max()
    assert stored.value_range == [low * 100 + 7, high * 100 + 7]
    expected = (pixels["train"]["0000"] - low) / (high - low) * 255
    decoded = ImageStore(tmp_path / "images/train").decode("0000")
    assert np.abs(decoded - expected).max() <= 0.51


def test_an_image_with_other_channels_is_reported_by_name(tmp_path: Path) -> None:
    contents, _ = channel_kinds.files("npy_2")
    found = layouts.inspect(tmp_path, contents)
    for channels, message in ((3, "2 channels are not supported as RGB"), (4, "has 2 channels")):
        layout = Prepare(**{**found.layout.prepare, "channels": channels})
        with pytest.raises(UserError, match=rf"36 of 36 .* 0000 \(train/0000.npy: .*{message}"):
            build.store_images(
                found.archive,
                found.tables.ids,
                folder=tmp_path / f"as{channels}",
                layout=layout,
                processes=1,
            )


def test_photos_with_transparency_stay_rgb(tmp_path: Path) -> None:
    contents, pixels = channel_kinds.files("png_4")
    rng = np.random.default_rng(1)
    for part, images in pixels.items():
        for image, values in images.items():
            alpha = np.where(rng.random(values.shape[:2]) < 0.3, 0, 255)
            alpha[:4] = 128  # a soft edge
            cut_out = np.dstack([values[..., :3], alpha.astype(np.uint8)])
            contents[f"{part}/{image}.png"] = encode(cut_out)
    found = layouts.inspect(tmp_path, contents)
    assert "channels" not in found.layout.prepare


@pytest.mark.slow
@pytest.mark.parametrize("name", ["npy_2", "tiff_4", "png_4"])
def test_images_with_channels_lead_to_a_submission(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    contents, _ = channel_kinds.files(name)
    printed = in_process.run_project(contents, fine_tune=True)
    channels = channel_kinds.KINDS[name][0]
    assert f"channels: {channels}" in Path("params.yaml").read_text()
    assert "channels" in printed
    written = csvs.read(Path("submissions/made.csv"))
    assert len(written) == channel_kinds.TEST and set(written.iloc[:, 1]) <= {*CLASSES}
    assert params_file.load({"prepare": Prepare})[0].channels == channels


def four_channels(files: dict[str, bytes], *, stacked: bool) -> dict[str, bytes]:
    """The competition with a fourth channel, or with a file per channel."""
    result = {}
    for name, data in files.items():
        if not name.endswith(".png"):
            result[name] = data
            continue
        rgb = codec.decode(data)
        pixels = np.dstack([rgb, rgb[::-1, :, 1].clip(1, 254)])
        if not stacked:
            result[name] = encode(pixels)
            continue
        for number, part in enumerate(("red", "green", "blue", "yellow")):
            plane = np.ascontiguousarray(pixels[..., number])
            result[name.replace(".png", f"_{part}.png")] = encode(plane)
    return result


@pytest.mark.slow
@pytest.mark.parametrize("stacked", [False, pytest.param(True, marks=pytest.mark.long)])
def test_the_kernel_predicts_the_same_bytes(
    stacked: bool, finished_project: Project, tmp_path: Path
) -> None:
    project = finished_project.copy(tmp_path / "project")
    project.write_archive(four_channels(kernels.files(9), stacked=stacked))
    shutil.rmtree(project.folder / "data/raw")

    def change(params: dict[str, Any]) -> None:
        params["prepare"]["channels"] = 4
        if stacked:
            stack = {"images": "{id}_*", "stack": ["red", "green", "blue", "yellow"]}
            params["prepare"] |= stack
        network = {"architecture": "test_resnet", "image_size": 24, "pretrained": False}
        params["embeddings"] = {"small": network}
        params["probes"] = {"probe": {"features": ["small"]}}
        model = params["models"]["a"]
        params["models"] = {"a": {**model, "augment": "heavy"}}
        params["models"]["a"]["phases"] = [{"epochs": 1, "lr": 0.01}]
        params["folds"] |= {"run": [0], "all": []}
        params["ensemble"] = {"members": ["a", "probe"], "method": "mean"}

    project.edit(change)
    project.repro("submission")
    command = project.stage("export", "--owner", "someone", "--title", "podium-shapes")
    assert command.returncode == 0, command.stdout
    export = project.folder / "kernels/shapes"
    kernels.unpack(export, tmp_path)
    script = shutil.copy(export / "kernel/main.py", tmp_path / "script.py")
    expected = project.read("submissions/shapes.csv")
    project.folder.rename(tmp_path / "elsewhere")
    public = four_channels(kernels.files(9), stacked=stacked)
    competition = kernels.lay_out(tmp_path / "public", public)
    process = kernels.run(script, tmp_path / "run", **kernels.folders(tmp_path, competition))
    assert process.returncode == 0, process.stdout
    assert (tmp_path / "run/submission.csv").read_bytes() == expected
