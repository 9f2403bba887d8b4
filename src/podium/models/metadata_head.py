"""The head of a network for metadata."""

from torch import Tensor, nn

from podium.config.models import MetadataHead as Config
from podium.core.errors import UserError

NAME = "metadata_head"  # of the submodule


class MetadataHead(nn.Module):
    """Maps metadata [B, D] to outputs [B, O], which are added to the image's.

    A linear classifier on the features of both would be such a sum, too. The last layer is
    initialized to zero, so the network starts with its outputs for the image.
    """

    def __init__(self, size: int, config: Config, *, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.hidden_size, outputs)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, metadata: Tensor) -> Tensor:
        hidden: Tensor = self.dropout(self.hidden(metadata).relu())
        outputs: Tensor = self.output(hidden)
        return outputs


def add(net: nn.Module, size: int, config: Config | None, *, outputs: int) -> None:
    """Add a head for metadata of `size` dimensions to the network, if there is a `config`.

    Raises:
        UserError: if there is no metadata.
    """
    if config is None:
        return
    if size == 0:
        raise UserError(
            "metadata requires columns. Set prepare.features, or remove metadata from the model."
        )
    setattr(net, NAME, MetadataHead(size, config, outputs=outputs))
