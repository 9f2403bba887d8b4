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
