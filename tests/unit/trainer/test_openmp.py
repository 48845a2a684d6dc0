"""How torch's threads wait."""

import pytest

from vott_trainer.process.openmp import SPINS, limit_spinning


def test_idle_threads_spin_briefly() -> None:
    environment: dict[str, str] = {}
    limit_spinning(environment)
    assert environment == {"GOMP_SPINCOUNT": SPINS}


@pytest.mark.parametrize("own", [{"OMP_WAIT_POLICY": "PASSIVE"}, {"GOMP_SPINCOUNT": "7"}])
def test_environment_decides_if_it_says_how_threads_wait(own: dict[str, str]) -> None:
    environment = dict(own)
    limit_spinning(environment)
    assert environment == own
