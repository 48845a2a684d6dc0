"""Grade a model by its primary metric."""

from vott_trainer.plugin_api import Evaluation

GRADES = {
    "mAP50": ((0.9, "Very good"), (0.75, "Good"), (0.5, "Usable with care"), (0.0, "Not good yet")),
    "accuracy": ((0.95, "Very good"), (0.85, "Good"), (0.7, "Usable with care"), (0.0, "Not good yet")),
}
"""Lowest score and grade, by the primary metric."""


def grade(evaluation: Evaluation) -> str:
    """Grade the model; "" if its primary metric has no grades."""
    name, value = next(iter(evaluation.metrics.items()))
    return next((text for lowest, text in GRADES.get(name, ()) if value >= lowest), "")
