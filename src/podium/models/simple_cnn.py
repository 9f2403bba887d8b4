"""`simple_cnn`: a plain convolutional network, registered with timm."""

from typing import Any

import torch.nn.functional as F
from timm.layers import to_2tuple
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn


class SimpleCNN(nn.Module):
    """Three 3x3 convolutions (32, 64, 128 filters) with max-pooling, a hidden layer of 256 units,
    and a linear head."""

    def __init__(
        self,
        num_classes: int = 1000,
        in_chans: int = 3,
        img_size: int | tuple[int, int] = 32,
        drop_rate: float = 0.0,
    ) -> None:
        """`img_size` in pixels; `drop_rate` is the dropout before the head."""
        super().__init__()
        self.num_classes, self.num_features, self.drop_rate = num_classes, 256, drop_rate
        self.conv1 = nn.Conv2d(in_chans, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1)
        height, width = to_2tuple(img_size)
        self.fc1 = nn.Linear(128 * (height // 8) * (width // 8), self.num_features)
        self.fc = nn.Linear(self.num_features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, 3, size, size] -> logits [B, C]."""
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc(F.dropout(x, self.drop_rate, self.training))

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """timm's layer groups, input first."""
        del coarse  # every layer is a group
        return {name: f"^{name}" for name in ("conv1", "conv2", "conv3", "fc1")}


default_cfgs = generate_default_cfgs(
    {
        "simple_cnn.untrained": {
            "url": "",
            "input_size": (3, 32, 32),
            "fixed_input_size": True,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "first_conv": "conv1",
            "classifier": "fc",
        }
    }
)


@register_model
def simple_cnn(pretrained: bool = False, **kwargs: Any) -> SimpleCNN:
    """Create a `SimpleCNN`; timm's entry point."""
    return build_model_with_cfg(SimpleCNN, "simple_cnn", pretrained, **kwargs)
