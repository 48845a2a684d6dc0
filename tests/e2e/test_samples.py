"""What lies in `manifests/samples/` works as it is, and ends as its first line says."""

from pathlib import Path

import pytest

from tests.e2e.samples import ROOT, Sample, all_samples
from tests.e2e.training import Training


@pytest.mark.parametrize("sample", all_samples(), ids=lambda sample: str(sample.path.stem))
def test_sample_ends_in_the_state_that_its_first_line_promises(sample: Sample, started: dict[Sample, Training]) -> None:
    started[sample].wait_status(*sample.promised_end())


def test_every_sample_is_named_where_a_stranger_begins() -> None:
    page = (ROOT / "docs" / "getting-started.md").read_text()
    assert [sample.path.name for sample in all_samples() if f"`{sample.path.name}`" not in page] == []


def test_sample_without_a_promise_is_refused(tmp_path: Path) -> None:
    silent = tmp_path / "silent.yaml"
    silent.write_text("# Trains something.\n")
    with pytest.raises(AssertionError, match=r"silent\.yaml must begin"):
        Sample(silent).promised_end()
