"""Random events with a real API server, Job controller and garbage collector, and an operator that is killed in between.

The unit tests drive thousands of such events through a simulation (tests/unit/operator/test_plan_states.py). This test shows that the
simulation is realistic. The invariants are checked from outside, on watch events of the API server.
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
    """A node without a kubelet, so that pods on it are deleted with a grace period; the test acts as its kubelet."""
    name = f"node-of-{harness.name}"
    harness.kubectl.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    yield name
    harness.kubectl("delete", "node", name)


def test_each_training_ends_once_and_its_callback_gets_the_outcome_despite_random_events(
    harness: OperatorHarness, node: str, receiver: CallbackReceiver
) -> None:
    print(f"seed {SEED}")
    api, rng = AdminClient(harness), random.Random(SEED)
    watcher, operator = InvariantWatcher(api), harness.operator()
    trainings = [
        RandomTraining(api, f"training-{n}", node, random.Random(rng.random()), receiver.url) for n in range(TRAININGS)
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
            "the end of every training",
            lambda: all(pool.map(RandomTraining.finish, trainings)),
            seconds=120,
            dump=harness.diagnostics,
        )
    for training in trainings:
        assert_outcome(training, watcher, receiver)
    assert watcher.violations == []
    wait_until(
        "no pod left", lambda: not [training for training in trainings if training.pods()], dump=harness.diagnostics
    )


def assert_outcome(training: RandomTraining, watcher: InvariantWatcher, receiver: CallbackReceiver) -> None:
    """Check that the callback got one outcome, that of the TrainingJob, and the number of restarts."""

    def states() -> set[str]:
        return {post["state"] for post in receiver.posts if post["job"] == training.name}

    (state,) = wait_until(f"the outcome callback of {training.name}", states, seconds=60)
    trainingjob = training.read()
    if trainingjob is None:
        assert state == "cancelled"
        return
    (outcome,) = terminal_conditions(trainingjob)
    assert state == STATES[outcome.partition("/")[0]]
    assert_restarts(training, trainingjob, watcher.reported_pods[training.name])


def assert_restarts(training: RandomTraining, trainingjob: Object, reported_pods: set[str]) -> None:
    """Check status.restarts against the runs. While it is down, the operator may miss a run or a suspension."""
    restarts, reported = trainingjob["status"]["restarts"], [run for run in training.runs if run[0] in reported_pods]
    least = sum(not was_suspended for _, was_suspended in reported[1:])
    print(
        f"{training.name}: {len(training.runs)} runs, {least} to {len(training.runs) - 1}: {restarts} restarts, {terminal_conditions(trainingjob)}"
    )
    assert least <= restarts <= max(0, len(training.runs) - 1), (training.runs, reported_pods)
