"""Names of a TrainingJob and its objects."""

import re

from vott_messaging.names import training
from vott_operator.api import crd, names


def test_a_trainingjobs_name_is_valid_for_all_its_objects() -> None:
    for queue, message_id in (("https://acme.queue.core.windows.net/cats", "a.b"), ("q", "."), ("", "\u00e4/..\n")):
        assert re.fullmatch(crd.SERVICE_NAME_PATTERN, training(queue, message_id))


def test_a_trainingjobs_name_leaves_space_for_the_suffixes_of_its_pods() -> None:
    assert len(training("q", "1")) <= names.MAX_NAME_LENGTH
