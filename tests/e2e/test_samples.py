"""Every file of `manifests/samples/` works and ends in the status that its first line names."""

from pathlib import Path

import pytest

from tests.e2e.samples import ROOT, Sample, all_samples
from tests.e2e.training import Training


@pytest.mark.parametrize("sample", all_samples(), ids=lambda sample: str(sample.path.stem))
def test_sample_ends_in_the_status_of_its_first_line(sample: Sample, started: dict[Sample, Training]) -> None:
    started[sample].wait_status(*sample.promised_end())


def test_every_sample_is_listed_in_getting_started() -> None:
    page = (ROOT / "docs" / "getting-started.md").read_text()
    assert [sample.path.name for sample in all_samples() if f"`{sample.path.name}`" not in page] == []


def test_sample_without_a_status_in_its_first_line_is_refused(tmp_path: Path) -> None:
    sample = tmp_path / "silent.yaml"
    sample.write_text("# Trains something.\n")
    with pytest.raises(AssertionError, match=r"silent\.yaml must begin"):
        Sample(sample).promised_end()
