from typing import Any

import pytest
import torch
from trainings import config, phase

from podium.core.errors import UserError
from podium.models import factory, layers
from podium.training import optimizers as optim


def test_the_optimizer_is_the_one_that_the_phase_names() -> None:
    net = factory.create(config(), outputs=2)
    sgd = optim.create(net, phase(optimizer="sgd"), config())
    assert isinstance(sgd, torch.optim.SGD)
    assert all(group["nesterov"] and group["momentum"] == 0.9 for group in sgd.param_groups)
    plain = optim.create(net, phase(optimizer="momentum"), config())
    assert isinstance(plain, torch.optim.SGD)
    assert all(not group["nesterov"] and group["momentum"] == 0.9 for group in plain.param_groups)
    adam = optim.create(net, phase(optimizer="adam"), config())
    assert isinstance(adam, torch.optim.Adam) and not isinstance(adam, torch.optim.AdamW)
    assert isinstance(optim.create(net, phase(), config()), torch.optim.AdamW)
    with pytest.raises(UserError, match=r"^optimizer: adahessian"):
        optim.create(net, phase(optimizer="adahessian"), config())
    with pytest.raises(UserError, match=r"^optimizer: bnbadam"):
        optim.create(net, phase(optimizer="bnbadam"), config())
    with pytest.raises(UserError, match=r"^optimizer: .*adamww.*did you mean adamw"):
        optim.create(net, phase(optimizer="adamww"), config())


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({"lr": 0.1}, [0.1] * 6),
        ({"lr": 0.1, "backbone_lr": 0.01}, [0.1] + [0.01] * 5),
        ({"lr": 0.1, "layer_decay": 0.1}, [0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6]),
        (
            {"lr": 0.1, "backbone_lr": 0.04, "layer_decay": 0.5},
            [0.1, 0.04, 0.02, 0.01, 5e-3, 2.5e-3],
        ),
    ],
)
def test_learning_rates_per_layer_group_are_the_peak_times_the_factor(
    rates: dict[str, Any], expected: list[float]
) -> None:
    net = factory.create(config(architecture="resnet10t"), outputs=2)
    optimizer = optim.create(net, phase(**rates), config())
    optim.set_factor(optimizer, 0.5)
    depths, names = layers.depths(net), {id(p): name for name, p in net.named_parameters()}
    rates_by_name = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            rates_by_name[names[id(parameter)]] = group["lr"]
    assert rates_by_name == {
        name: pytest.approx(0.5 * expected[depth]) for name, depth in depths.items()
    }
    assert optim.learning_rates(optimizer) == {
        "lr": pytest.approx(0.05),
        "backbone_lr": pytest.approx(0.5 * min(expected[1:])),
    }


def test_a_head_phase_has_no_backbone_lr() -> None:
    net = factory.create(config(), outputs=2)
    layers.set_trainable(net, "head")
    assert optim.learning_rates(optim.create(net, phase(), config()))["backbone_lr"] is None


@pytest.mark.parametrize("decay_norms", [False, True])
def test_biases_and_norms_decay_only_with_decay_norms(decay_norms: bool) -> None:
    net = factory.create(config(), outputs=2)
    model = config(weight_decay=0.05, decay_norms=decay_norms)
    for group in optim.create(net, phase(), model).param_groups:
        for parameter in group["params"]:
            decays = decay_norms or parameter.ndim > 1
            assert group["weight_decay"] == (0.05 if decays else 0)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_fused_optimizers_compute_what_unfused_ones_do(name: str) -> None:
    nets = [factory.create(config(), outputs=2) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    optimizers = [optim.create(net, phase(optimizer=name), config()) for net in nets]
    for group in optimizers[1].param_groups:
        assert group["fused"]
        group.update(fused=False, foreach=False)
    for _ in range(3):
        for net, optimizer in zip(nets, optimizers, strict=True):
            for number, parameter in enumerate(net.parameters()):
                parameter.grad = torch.full_like(parameter, 0.01 * number)
            optimizer.step()
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
def test_an_overflow_in_the_first_step_leaves_finite_weights(name: str) -> None:
    """fp16's scaler passes an overflow to fused optimizers, and skips the step of others."""
    net = factory.create(config(), outputs=2)
    optimizer = optim.create(net, phase(optimizer=name), config())
    for overflowed in (1.0, 0.0):
        for parameter in net.parameters():
            parameter.grad = torch.full_like(parameter, float("inf") if overflowed else 0.01)
        if optimizer.param_groups[0]["fused"]:
            optimizer.found_inf, optimizer.grad_scale = torch.tensor(overflowed), torch.tensor(1.0)
        if not overflowed or optimizer.param_groups[0]["fused"]:
            optimizer.step()
    assert all(parameter.isfinite().all() for parameter in net.parameters())
