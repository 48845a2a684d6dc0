"""One of the trainings of a cross-validation."""

from typing import NamedTuple


class Fold(NamedTuple):
    """A part of the images that one training of a cross-validation holds out; by default the only training, without cross-validation.

    Folds are trained by rising number. The model of the last one is delivered.
    """

    number: int = 1
    total: int = 1

    @property
    def is_one_of_several(self) -> bool:
        """Whether there is a cross-validation."""
        return self.total > 1

    def share(self, share: float) -> float:
        """Return the completed share of all folds, 0 to 1, from that of this one; those before it are complete."""
        return (self.number - 1 + share) / self.total


ONLY = Fold()
