"""The folds of a cross-validation: each scene is held out in one of them."""

from collections import Counter
from collections.abc import Mapping

from vott_trainer.data.stratification import held_out
from vott_trainer.errors import NoUsableImagesError
from vott_trainer.plugin_api import Fold

Scenes = Mapping[bytes, Counter[str | None]]


def held_out_in(fold: Fold, scenes: Scenes) -> set[bytes]:
    """Choose the scenes that a fold holds out, from those that no later fold does.

    The last fold is chosen first, so it has the images that are held out without cross-validation with the fraction 1 / `fold.total`.

    Args:
        scenes: as for `held_out`.

    Raises:
        NoUsableImagesError: there are fewer scenes with annotated items than folds.
    """
    _check(scenes, fold.total)
    left = dict(scenes)
    for number in range(fold.total, fold.number, -1):
        for key in _chosen(left, number, fold.total):
            del left[key]
    return _chosen(left, fold.number, fold.total)


def unlearned(learned: set[str], measured: set[str], fold: Fold) -> list[str]:
    """Return sentences for the report on classes that a fold holds out entirely, as it must if all of their images are of one scene."""
    if not fold.is_one_of_several:
        return []
    return [
        f"Fold {fold.number} holds out all images with “{label}”, so it measures this class without having learned it. "
        "Annotate images of more scenes with it."
        for label in sorted(measured - learned)
    ]


def _chosen(left: Scenes, number: int, total: int) -> set[bytes]:
    """Choose one of `number` equal parts; each of the others can still have an annotated scene."""
    if number == 1:
        return set(left)
    salt = bytes(total - number)  # else the hash would choose among scenes that it has just passed over
    chosen = {key[: len(key) - len(salt)] for key in held_out({key + salt: left[key] for key in left}, 1 / number)}
    most = sum(map(_is_annotated, left.values())) - (number - 1)
    return chosen - set(sorted(key for key in chosen if _is_annotated(left[key]))[most:])


def _is_annotated(counts: Counter[str | None]) -> bool:
    return counts.total() > counts[None]


def _check(scenes: Scenes, folds: int) -> None:
    annotated = sum(map(_is_annotated, scenes.values()))
    if annotated < folds:
        raise NoUsableImagesError(
            f"Cross-validation with {folds} folds needs at least {folds} annotated scenes, but the usable images show {annotated}: images that are "
            "nearly alike are one scene. Lower folds, or annotate images of other scenes, and send the message again."
        )
