"""How many objects are small for the network, and whether it finds them."""

import math
from collections.abc import Iterable

from vott_trainer.plugin_api import Example, Prediction
from vott_trainer.plugin_api.evaluation import Found, SmallObjects
from vott_trainer.vision.resize import Scale

SMALL = 16  # pixels: two cells of the finest features of a usual detector, whose stride is 8


def small_objects(examples: Iterable[tuple[Example, Scale]]) -> SmallObjects:
    """Count the objects with a side (square root of the area) below SMALL in the resized image, the others, and those found of both."""
    counts = {True: [0, 0], False: [0, 0]}  # found, total
    for example, scale in examples:
        for objects, found, total in ((example.truth, 1, 1), (example.missed, -1, 0)):
            for one in objects:
                entry = counts[_side(one, scale) < SMALL]
                entry[0] += found
                entry[1] += total
    return SmallObjects(SMALL, Found(*counts[True]), Found(*counts[False]))


def _side(one: Prediction, scale: Scale) -> float:
    return math.sqrt(one.box.width * scale[0] * one.box.height * scale[1]) if one.box else math.inf
