"""Tables of pixels: the order of the colours, and whether the rows can be told apart."""

import numpy as np

from podium.core.errors import UserError
from podium.init.guesses import Chooser, Guess, Sureness
from podium.init.survey import Pixels, Table

SMOOTHER = 0.8  # how much smoother a picture is if its pixels are in the right order


def check_order(test: Table, own: list[str], sample: Table) -> None:
    """Where the test rows are named by the sample submission's order, ids of their own must agree.

    Raises:
        UserError: if they do not.
    """
    wanted = sample.rows.iloc[:, 0].tolist()
    for column in own:
        found = test.rows[column].tolist()
        if found != wanted and set(found) == set(wanted):
            raise UserError(
                f"the ids of {test.name} ({column}) stand in another order than those of "
                f"{sample.name}, and the training table has no such column: name one of its "
                f"columns {column} there, or sort {sample.name}"
            )


def choose_order(pixels: Pixels, chooser: Chooser) -> tuple[str, bool]:
    """The order of RGB pixels that makes the smoother pictures, and whether these are grey."""
    side, values = pixels.side, pixels.values.astype(np.int16)
    orders = {
        "interleaved": values.reshape(-1, side, side, 3),
        "planar": values.reshape(-1, 3, side, side).transpose(0, 2, 3, 1),
    }
    rough = {
        name: sum(float(np.abs(np.diff(images, axis=axis)).mean()) for axis in (1, 2))
        for name, images in orders.items()
    }
    best, other = sorted(rough, key=lambda name: rough[name])
    sure: Sureness = "likely" if rough[best] < SMOOTHER * rough[other] else "a guess"
    why = f"the smoother pictures: {rough[best]:.0f} from pixel to pixel, not {rough[other]:.0f}"
    order = str(chooser.choose(Guess("prepare.pixel_order", best, sure, why, (other,))))
    return order, bool((np.ptp(orders[order], axis=3) == 0).all())
