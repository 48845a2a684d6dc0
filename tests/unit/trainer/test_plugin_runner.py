"""Plugins by kind: in which processes they train, and who uploads the model."""

from typing import Any

import pytest

from tests.unit.trainer.toy_learner import ToyLearner
from vott_trainer.plugin_runner import trains_in_all_processes, uploads_itself


class OwnLoop:
    """A plugin with a method `train`."""

    def train(self, run: Any, parameters: Any) -> None:
        """Train."""


class DistributedLoop(OwnLoop):
    """One that trains in each process."""

    distributed = True


class Uploader(OwnLoop):
    """One that uploads its model."""

    uploads = True


@pytest.mark.parametrize(("plugin", "in_all"), [(ToyLearner(), True), (OwnLoop(), False), (DistributedLoop(), True)])
def test_learner_trains_in_all_processes_and_another_plugin_only_on_request(plugin: Any, in_all: bool) -> None:
    assert trains_in_all_processes(plugin) == in_all


@pytest.mark.parametrize(("plugin", "uploads"), [(ToyLearner(), False), (OwnLoop(), False), (Uploader(), True)])
def test_trainer_uploads_the_model_unless_the_plugin_does(plugin: Any, uploads: bool) -> None:
    assert uploads_itself(plugin) == uploads
