"""docs/plugins.md has every architecture and parameter of the built-in plugins, with the values that they may have."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import annotated_types
import pytest

from vott_trainer.plugin_api import DataParameters, LearningParameters
from vott_trainer.plugins.classification import ClassificationParameters
from vott_trainer.plugins.detection import DetectionParameters
from vott_trainer.plugins.hello_world import HelloWorldParameters
from vott_trainer.plugins.segmentation import SegmentationParameters
from vott_trainer.vision.architectures import Architecture
from vott_trainer.vision.classifiers import CLASSIFIERS
from vott_trainer.vision.detectors import DETECTORS
from vott_trainer.vision.segmenters import SEGMENTERS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/plugins.md").read_text()
WEIGHTS = set(re.findall(r"(\w+)@sha256:", (ROOT / "trainer-image/Dockerfile").read_text()))
COMMON = "Common parameters"
SECTIONS: dict[str, tuple[type[DataParameters], tuple[str, ...]]] = {
    "detection": (DetectionParameters, (COMMON,)),
    "segmentation": (SegmentationParameters, ("detection", COMMON)),
    "classification": (ClassificationParameters, (COMMON,)),
    "hello-world": (HelloWorldParameters, ()),
    COMMON: (LearningParameters, ()),
}
"""By section: the parameters, and the other sections that describe some of them."""
PARAMETERS = [
    (section, name)
    for section, (parameters, _) in SECTIONS.items()
    for name in parameters.model_fields
    if name not in DataParameters.model_fields
]
ARCHITECTURES: dict[str, Mapping[str, Architecture]] = {
    "detection": DETECTORS,
    "segmentation": SEGMENTERS,
    "classification": CLASSIFIERS,
}


def row(section: str, name: str) -> str:
    """The table row of a name; "" if the section has none."""
    found = re.search(rf"^## {section}\n.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, section
    return next((line for line in found[0].splitlines() if line.startswith(f"| `{name}` |")), "")


def bounds(metadata: list[Any]) -> str:
    """The lowest and highest value that a field may have, as the page writes them; "" unless it may have both."""
    lowest = next((one.ge for one in metadata if isinstance(one, annotated_types.Ge)), None)
    highest = next((one.le for one in metadata if isinstance(one, annotated_types.Le)), None)
    return "" if lowest is None or highest is None else f"{lowest} to {highest}"


@pytest.mark.parametrize(("section", "name"), PARAMETERS)
def test_every_parameter_is_documented_with_its_range(section: str, name: str) -> None:
    parameters, others = SECTIONS[section]
    field = parameters.model_fields[name]
    rows = [text for one in (section, *others) if (text := row(one, str(field.alias)))]
    assert rows
    assert any(bounds(field.metadata) in text.replace(",", "") for text in rows)


@pytest.mark.parametrize(
    ("section", "name"), [(section, name) for section, all_ in ARCHITECTURES.items() for name in all_]
)
def test_every_architecture_is_documented_with_its_learning_rate(section: str, name: str) -> None:
    assert f"| {ARCHITECTURES[section][name].learning_rate:g} |" in row(section, name)


@pytest.mark.parametrize("section", ["detection", "classification"])
def test_architectures_that_the_default_image_can_train(section: str) -> None:
    found = re.search(
        rf"^## {section}\n.*?The default trainer image can train ([^.]*)\.", PAGE, re.MULTILINE | re.DOTALL
    )
    assert found
    trainable = {
        name for name, one in ARCHITECTURES[section].items() if name in WEIGHTS or one.packaged or not one.is_large
    }
    assert set(re.findall(r"`(\w+)`", found[1])) == trainable
