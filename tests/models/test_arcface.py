import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import trainings
from torch import Tensor, nn
from trainings import config

from podium.images.store import ImageStore
from podium.models import factory, heads, layers, losses, weights
from podium.models.arcface import add_margin
from podium.models.inputs import Preprocess
from podium.models.loss import Loss
from podium.models.targets import TargetCodec
from podium.scoring.task import Task
from podium.training.checkpoints import Checkpoints

TASK = Task("multiclass", ["a", "b", "c"])


def arcface(**changes: Any) -> Loss:
    return losses.of(config(loss="arcface", **changes), "multiclass")


def reference(cosines: Tensor, label: int, margin: float, scale: float) -> Tensor:
    """Equation 3 of the paper, for one image."""
    angles = cosines.double().arccos()
    angles[label] += margin
    return F.cross_entropy(scale * angles.cos()[None], torch.tensor([label]))


def test_the_loss_of_one_image_is_as_computed_by_hand() -> None:
    """At 60 degrees from its class and 90 from the others, with a margin of 30 degrees and scale 2:
    cos 90 = 0 for all three classes, so the loss is log 3.
    """
    loss = arcface(arcface_margin=math.pi / 6, arcface_scale=2.0)
    cosines, target = torch.tensor([[0.5, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    assert loss.loss(cosines, target, TASK).item() == pytest.approx(math.log(3))
    without = arcface(arcface_margin=0.0, arcface_scale=2.0).loss(cosines, target, TASK)
    assert without.item() == pytest.approx(math.log(1 + 2 * math.exp(-1)))
    assert loss.to_logits(cosines, TASK).tolist() == [[1.0, 0.0, 0.0]]  # without the margin


@pytest.mark.parametrize(("margin", "scale"), [(0.5, 64.0), (0.3, 30.0), (0.0, 8.0)])
def test_the_loss_is_the_papers_for_hard_and_their_mean_for_mixed_targets(
    margin: float, scale: float
) -> None:
    loss = arcface(arcface_margin=margin, arcface_scale=scale)
    cosines = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) * 1.8 - 0.85
    each = torch.stack(
        [torch.stack([reference(row, label, margin, scale) for label in range(3)])
         for row in cosines]
    )  # fmt: skip
    labels = torch.arange(50) % 3
    hard = F.one_hot(labels, 3).float()
    for targets in (hard, hard * 0.7 + 0.1, 0.4 * hard + 0.6 * hard.flip(0)):
        expected = (each * targets).sum() / targets.sum()
        assert loss.loss(cosines, targets, TASK).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_margin_never_rewards_a_larger_angle() -> None:
    """cos(angle + margin) alone rises again near pi."""
    angles = torch.linspace(0.01, math.pi, 500)
    with_margin = add_margin(angles.cos(), 0.5)
    assert (with_margin.diff() < 0).all()
    assert torch.allclose(with_margin[:400], (angles[:400] + 0.5).cos(), atol=1e-3)


@pytest.mark.parametrize("cosine", [1.0, -1.0, 1.0001, 0.0])
def test_the_gradient_is_finite_at_the_ends_and_small_differences_count(cosine: float) -> None:
    loss = arcface(arcface_scale=64.0)
    cosines = torch.tensor([[cosine, -cosine, 0.3]], requires_grad=True)
    value = loss.loss(cosines, torch.tensor([[0.6, 0.4, 0.0]]), TASK)
    value.backward()
    assert value.isfinite() and cosines.grad is not None and cosines.grad.isfinite().all()
    sure = torch.tensor([[0.9, 0.34, -1.0]])  # e^-35: lost if it were 1 - the probability
    expected = reference(sure[0], 0, 0.5, 64.0).item()
    found = loss.loss(sure, torch.tensor([[1.0, 0.0, 0.0]]), TASK).item()
    assert 0 < found == pytest.approx(expected, rel=1e-3)


def test_the_head_returns_cosines_whatever_the_precision() -> None:
    torch.manual_seed(0)
    head, features = heads.CosineLinear(16, 5), torch.randn(4, 16)
    expected = F.cosine_similarity(features[:, None].double(), head.weight[None].double(), dim=2)
    assert torch.allclose(head(features).double(), expected, atol=1e-6)
    assert torch.allclose(head(100 * features), head(features), atol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert head(features).dtype == torch.float32
        assert torch.equal(head(features), head(features.float()))


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"loss": "arcface"}, None),
        ({"loss": "arcface", "head": "batch_norm"}, [nn.BatchNorm1d, heads.CosineLinear]),
        (
            {"loss": "arcface", "embedding_size": 8},
            [nn.Linear, nn.BatchNorm1d, heads.CosineLinear],
        ),
        ({"embedding_size": 8}, [nn.Linear, nn.BatchNorm1d, nn.Linear]),
    ],
)
def test_the_head_has_what_the_config_asks_for(
    changes: dict[str, Any], kinds: list[type] | None
) -> None:
    for name in ("test_resnet", "test_convnext", "test_vit", "simple_cnn"):
        net = factory.create(config(architecture=name, **changes), outputs=5).eval()
        head = net.get_submodule(layers.head_names(net)[0])
        if kinds is None:
            assert type(head) is heads.CosineLinear and head.bias is None
        else:
            assert isinstance(head, nn.Sequential) and [type(part) for part in head] == kinds
        assert net(torch.randn(2, 3, 32, 32)).shape == (2, 5)


def test_a_network_with_arcface_trains_and_is_rebuilt_from_its_file(
    images: ImageStore, tmp_path: Path
) -> None:
    settings = {
        "loss": "arcface", "arcface_scale": 20.0, "embedding_size": 16, "head": "batch_norm",
        "mix": {"mixup_alpha": 0.2}, "class_weights": "balanced", "label_smoothing": 0.1,
        "phases": [{"epochs": 1, "lr": 0.01, "trainable": "head"},
                   {"epochs": 1, "lr": 0.01, "layer_decay": 0.5}],
    }  # fmt: skip
    trained = trainings.train(images, Checkpoints(tmp_path / "checkpoints"), **settings)
    weights.save(tmp_path / "w.safetensors", trained.best.weights, trained.provenance)
    net, provenance, _ = weights.load(tmp_path / "w.safetensors")
    pixels = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)
    with torch.inference_mode():
        inputs = Preprocess(net, torch.device("cpu"))({"image": pixels})
        logits = TargetCodec.of(provenance).to_logits(net.eval()(inputs["image"]))
    assert logits.abs().max() <= 20.001 and logits.std() > 0.1


def test_the_head_is_one_graph_for_torch_compile() -> None:
    head, features = heads.CosineLinear(8, 3), torch.randn(4, 8)
    compiled = torch.compile(head, backend="eager", fullgraph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(compiled(features), head(features))
