import numpy as np
import pytest
import timm
import torch

from podium.models import inputs


def test_all_inputs_of_a_batch_are_moved_and_only_images_are_normalised() -> None:
    preprocess = inputs.Preprocess(timm.create_model("test_resnet"), torch.device("meta"))
    batch = {"image": torch.zeros(2, 8, 8, 3, dtype=torch.uint8), "columns": torch.zeros(2, 5)}
    result = preprocess(batch)
    assert {name: tensor.device.type for name, tensor in result.items()} == {
        "image": "meta",
        "columns": "meta",
    }
    assert result["image"].shape == (2, 3, 8, 8) and result["columns"].shape == (2, 5)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_networks_mean_and_deviation_are_repeated_for_other_channels(channels: int) -> None:
    net = timm.create_model("resnet10t", in_chans=channels)
    mean, std = (np.array(net.default_cfg[name]) for name in ("mean", "std"))
    if channels == 1:
        mean, std = mean.mean(), std.mean()
    else:
        mean, std = np.resize(mean, channels), np.resize(std, channels)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 6, 4, channels), np.uint8)
    preprocess = inputs.Preprocess(net, torch.device("cpu"))
    result = preprocess({"image": torch.from_numpy(pixels)})["image"]
    expected = ((pixels / 255 - mean) / std).transpose(0, 3, 1, 2)
    assert np.allclose(result, expected, atol=1e-5)
