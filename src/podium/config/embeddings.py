"""The sections `embeddings.<name>` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from podium.config.models import Backbone, Model
from podium.config.phases import Phase
from podium.core.section import PositiveInt, Unique


class Embedding(Backbone):
    """A frozen backbone whose pooled features are computed once, for all probes and folds."""

    views: Annotated[list[str], Field(min_length=1), Unique] = Field(
        default_factory=lambda: ["identity", "hflip"]
    )
    """Views of each image. A probe trains on all of them, and averages its predictions over
    them."""
    batch_size: PositiveInt = 64
    """Images per batch."""
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "fp32"
    """Mixed precision. `auto`: bf16 or fp16 if the device supports it, else fp32."""

    def network(self) -> Model:
        """The settings of the network, as `models.factory` takes them; its head is not used."""
        backbone = {name: getattr(self, name) for name in Backbone.model_fields}
        phases = [Phase(epochs=1, trainable="head", lr=1.0)]
        return Model(
            **backbone, phases=phases, batch_size=self.batch_size, precision=self.precision
        )
