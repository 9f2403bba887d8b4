import pytest
import torch

from podium.prediction.tta import VIEWS

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_but_the_identity_changes_the_images_and_keeps_their_shape(view: str) -> None:
    viewed = VIEWS[view](IMAGES)  # type: ignore[index]
    assert viewed.shape == IMAGES.shape
    assert torch.equal(viewed, IMAGES) == (view == "identity")


def test_flips_and_rotations_do_what_their_names_say() -> None:
    assert torch.equal(VIEWS["hflip"](IMAGES)[..., 0], IMAGES[..., -1])
    assert torch.equal(VIEWS["vflip"](IMAGES)[..., 0, :], IMAGES[..., -1, :])
    assert torch.equal(VIEWS["rot180"](IMAGES), VIEWS["hflip"](VIEWS["vflip"](IMAGES)))
    assert torch.equal(VIEWS["rot90"](VIEWS["rot270"](IMAGES)), IMAGES)


def test_crops_show_their_corner() -> None:
    images = torch.zeros(1, 3, 32, 32)
    images[..., 0, 0] = 1  # one bright pixel in the top left corner
    bright = {name for name in VIEWS if name.startswith("crop") and VIEWS[name](images).max() > 0}
    assert bright == {"crop_top_left"}
