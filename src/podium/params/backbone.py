"""Choose the network that the stage explore uses, among those in params.yaml."""

from podium.config.embeddings import Embedding
from podium.config.models import Backbone
from podium.params import libraries
from podium.params.schema import Params

MAX_SIZE = 224  # pixels: larger images are slower and have the same neighbors


def of(params: Params) -> Embedding | None:
    """The first embedding with pretrained weights, else the first such model, at no more than
    `MAX_SIZE` pixels if the architecture allows it; None if there is none.
    """
    networks: list[Backbone] = [*params.embeddings.values(), *params.models.values()]
    network = next((network for network in networks if network.pretrained is not False), None)
    if network is None:
        return None
    settings = {name: getattr(network, name) for name in Backbone.model_fields}
    full = Embedding(**settings, views=["identity"])
    small = full.model_copy(update={"image_size": min(full.image_size, MAX_SIZE)})
    problems = libraries.embedding_problems({"explore": small}, channels=params.prepare.channels)
    return full if problems else small
