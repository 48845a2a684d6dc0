"""A server that does not start leaves nothing behind: a warning about that would be another test's failure."""

import gc
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from localcluster.azurite import Azurite
from localcluster.errors import LocalClusterError
from localcluster.program import Program
from tests.support.s3_server import S3Server
from tests.support.service_bus_broker import ServiceBusBroker


def _never_ready(*_: object) -> Program:
    return Program("never ready", ("false",), lambda: False)


@pytest.mark.parametrize("start", [Azurite, S3Server, ServiceBusBroker])
def test_server_that_does_not_start_leaves_no_folder_and_no_process(
    start: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("localcluster.azurite.azurite_program", _never_ready)
    monkeypatch.setattr("tests.support.s3_server.moto_server", lambda: "false")
    monkeypatch.setattr(ServiceBusBroker, "_program", _never_ready)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        with pytest.raises(LocalClusterError, match="ended with exit code 1"):
            start()
        assert list(tmp_path.iterdir()) == []
        gc.collect()
    assert found == []
