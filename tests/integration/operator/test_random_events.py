"""Random events against the real API server, Job controller and garbage collector, with an operator that is killed among them.

The unit tier drives the same events by the thousand through a simulation (tests/unit/operator/test_plan_states.py); here a few
trainings at the same time show that the simulation is honest. What is held is looked at from outside, on everything that a watch
of the API server tells.
"""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.callbacks import CallbackReceiver
from tests.integration.operator.random_events import AdminClient, InvariantWatcher, RandomTraining, terminal_conditions
from tests.support.operator_harness import Object, OperatorHarness
from tests.support.waiting import wait_until

SEED = 20260101
TRAININGS, STEPS = 8, 12
STATES = {"Complete": "succeeded", "Failed": "failed"}


@pytest.fixture
def node(harness: OperatorHarness) -> Iterator[str]:
    """A node, so that pods on it end with their grace; nobody but the test acts for it."""
    name = f"node-of-{harness.name}"
    harness.kubectl.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    yield name
    harness.kubectl("delete", "node", name)


def test_whatever_happens_each_training_ends_once_and_is_told(
    harness: OperatorHarness, node: str, receiver: CallbackReceiver
) -> None:
    print(f"seed {SEED}")
    api, chance = AdminClient(harness), random.Random(SEED)
    watcher, operator = InvariantWatcher(api), harness.operator()
    trainings = [
        RandomTraining(api, f"training-{n}", node, random.Random(chance.random()), receiver.url)
        for n in range(TRAININGS)
    ]
    with ThreadPoolExecutor(TRAININGS) as pool:
        for step in range(STEPS):
            list(pool.map(RandomTraining.step, trainings))
            if step % 4 == 1:
                operator.sigkill()
            if step % 4 == 2:
                operator = harness.operator()
        trainings[0].delete()
        wait_until(
            "every end", lambda: all(pool.map(RandomTraining.finish, trainings)), seconds=120, dump=harness.diagnostics
        )
    for training in trainings:
        check(training, watcher, receiver)
    assert watcher.wrong == []
    wait_until(
        "no pod left", lambda: not [training for training in trainings if training.pods()], dump=harness.diagnostics
    )


def check(training: RandomTraining, watcher: InvariantWatcher, receiver: CallbackReceiver) -> None:
    """One last word; restarts right."""

    def words() -> set[str]:
        return {post["state"] for post in receiver.posts if post["job"] == training.name}

    (said,) = wait_until(f"the last word of {training.name}", words, seconds=60)
    trainingjob = training.now()
    if trainingjob is None:
        assert said == "cancelled"
        return
    (outcome,) = terminal_conditions(trainingjob)
    assert said == STATES[outcome.partition("/")[0]]
    assert_restarts(training, trainingjob, watcher.noted[training.name])


def assert_restarts(training: RandomTraining, trainingjob: Object, noted: set[str]) -> None:
    """Those runs in place of another that the operator came to know of; while it is down it may miss one, or a suspension."""
    restarts, known = trainingjob["status"]["restarts"], [run for run in training.runs if run[0] in noted]
    least = sum(not asked for _, asked in known[1:])
    print(
        f"{training.name}: {len(training.runs)} runs, {least} to {len(training.runs) - 1}: {restarts} restarts, {terminal_conditions(trainingjob)}"
    )
    assert least <= restarts <= max(0, len(training.runs) - 1), (training.runs, noted)
