"""The samples in manifests/samples/ are valid TrainingJobs."""

from pathlib import Path

import pytest
import yaml

from vott_operator.api import crd
from vott_operator.api.spec import TrainingJobSpec

ROOT = Path(__file__).parents[3]
SAMPLES = sorted(ROOT.glob("manifests/samples/*.yaml"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_samples_are_valid(sample: Path) -> None:
    schema = crd.custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for manifest in yaml.safe_load_all(sample.read_text()):
        if manifest["kind"] == "TrainingJob":
            TrainingJobSpec.model_validate(manifest["spec"])
            assert manifest["spec"].keys() <= schema["properties"]["spec"]["properties"].keys()


def test_there_are_samples() -> None:
    assert SAMPLES
