import pytest
import timm
import torch

from podium.models import inputs


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_images_have_the_memory_format_of_the_network(memory_format: torch.memory_format) -> None:
    net, where = timm.create_model("test_resnet"), torch.device("cpu")
    pixels = {"image": torch.arange(2 * 8 * 8 * 3, dtype=torch.uint8).view(2, 8, 8, 3)}
    image = inputs.Preprocess(net, where, memory_format=memory_format)(pixels)["image"]
    assert image.is_contiguous(memory_format=memory_format)
    assert torch.equal(image, inputs.Preprocess(net, where)(pixels)["image"])


def test_all_inputs_of_a_batch_are_moved_and_only_images_are_normalised() -> None:
    preprocess = inputs.Preprocess(timm.create_model("test_resnet"), torch.device("meta"))
    batch = {"image": torch.zeros(2, 8, 8, 3, dtype=torch.uint8), "columns": torch.zeros(2, 5)}
    result = preprocess(batch)
    assert {name: tensor.device.type for name, tensor in result.items()} == {
        "image": "meta",
        "columns": "meta",
    }
    assert result["image"].shape == (2, 3, 8, 8) and result["columns"].shape == (2, 5)
