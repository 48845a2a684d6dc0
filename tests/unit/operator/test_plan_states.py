"""Whatever happens to a TrainingJob, in whatever order: the operator's real reconciler over a simulated cluster.

Held at every write: pods of two Jobs are never alive at once, an end is never left, and there is only one. Held at rest: the
status says what is true, and the restarts are right. Held in the end: everything comes to rest, and one last word was said.
"""

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.operator.builders import MODEL
from tests.unit.operator.simulator import FAULTS, NAMESPACE, Body
from tests.unit.operator.simulator_controllers import exit_code, going, index_of
from tests.unit.operator.simulator_operator import KEY, KINDS
from tests.unit.operator.simulator_world import World
from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob

DISRUPTIONS = ["EvictionByEvictionAPI", "PreemptionByScheduler", "TerminationByKubelet"]
SELDOM = st.sampled_from([False, False, False, True])
SPECS = st.fixed_dictionaries(
    {
        "trainer": st.sampled_from([{}, {}, {"nodes": 2}]),
        "backoffLimit": st.sampled_from([2, 0, 5]),
    },
    optional={
        "callback": st.just({"url": "https://host/status"}),
        "suspend": st.sampled_from([False, True]),
        "pendingDeadlineSeconds": st.just(300),
        "activeDeadlineSeconds": st.just(3000),
        "ttlSecondsAfterFinished": st.sampled_from([0, 100]),
    },
)


class Lives(World, RuleBasedStateMachine):
    """One TrainingJob after the other of one name, and all that may happen around it."""

    # ---------------------------------------------------------------------------------------------------------- people

    @initialize(spec=SPECS, calm=st.booleans())
    def begin(self, spec: dict[str, Any], calm: bool) -> None:
        self.calm = calm
        self.create(spec)

    def create(self, spec: dict[str, Any]) -> None:
        spec = {"annotations": {"url": "https://h/a.csv"}, "model": {"url": "https://h/m"}} | spec
        metadata = {"name": KEY.name, "namespace": NAMESPACE}
        self.api.create("trainingjobs", {"metadata": metadata, "spec": spec, "status": {"phase": c.PENDING}})

    @precondition(lambda self: self.body is None)
    @rule(spec=SPECS)
    def create_another_of_the_name(self, spec: dict[str, Any]) -> None:
        self.create(spec)

    @precondition(lambda self: self.body is not None)
    @rule(held=st.booleans())
    def suspend_or_resume(self, held: bool) -> None:
        self.api.update("trainingjobs", KEY.name, lambda body: body["spec"].update(suspend=held))

    @precondition(lambda self: self.body is not None)
    @rule(really=SELDOM)
    def delete_the_trainingjob(self, really: bool) -> None:
        if really:
            self.api.delete("trainingjobs", KEY.name)

    @precondition(lambda self: self.api.all("jobs"))
    @rule(really=SELDOM)
    def delete_the_job(self, really: bool) -> None:
        if really:
            self.api.delete("jobs", KEY.name)

    @precondition(lambda self: self.pods())
    @rule(number=st.integers(0, 3))
    def delete_a_pod(self, number: int) -> None:
        self.api.delete("pods", self.pick(self.pods(), number)["metadata"]["name"])

    # ----------------------------------------------------------------------------------------------------------- nodes

    @rule(full=SELDOM, slow=SELDOM)
    def nodes_are(self, full: bool, slow: bool) -> None:
        """Without room for new pods, or slow to end those that are to go."""
        self.full, self.slow = full, slow

    @precondition(lambda self: self.starting())
    @rule(number=st.integers(0, 3), refused=st.booleans())
    def a_pod_gets_its_node(self, number: int, refused: bool) -> None:
        act = self.kubelet.refuse if refused else self.kubelet.bind
        act(self.pick(self.starting(), number))

    @precondition(lambda self: self.running())
    @rule(number=st.integers(0, 3), code=st.sampled_from([1, 65, 143, 137]), container_only=st.booleans())
    def a_pod_fails(self, number: int, code: int, container_only: bool) -> None:
        self.kubelet.end(self.pick(self.running(), number), code, container_only=container_only)

    @precondition(lambda self: self.pods())
    @rule(number=st.integers(0, 3), reason=st.sampled_from([*DISRUPTIONS, "DeletionByTaintManager"]))
    def a_pod_is_disrupted(self, number: int, reason: str) -> None:
        self.kubelet.disrupt(self.pick(self.pods(), number), reason)

    @precondition(lambda self: self.ending())
    @rule(code=st.sampled_from([143, 137]))
    def ending_pods_end(self, code: int) -> None:
        for pod in self.ending():
            known = exit_code(pod)
            self.kubelet.end(pod, code if known is None else known)

    @precondition(lambda self: self.running())
    @rule(really=SELDOM, reported=st.booleans(), container_only=st.booleans())
    def the_trainer_succeeds(self, really: bool, reported: bool, container_only: bool) -> None:
        if not really:
            return
        if reported and self.body is not None:
            self.api.update("trainingjobs", KEY.name, lambda body: body["status"].update(model=MODEL))
        for pod in self.running():
            self.kubelet.end(pod, 0, container_only=container_only)

    # ------------------------------------------------------------------------------------- the operator, and its troubles

    @precondition(lambda self: not self.calm)
    @rule(rounds=st.integers(1, 3))
    def the_operator_works(self, rounds: int) -> None:
        for _ in range(rounds):
            self.operator.hear()
            self.operator.work()

    @precondition(lambda self: not self.calm)
    @rule()
    def controllers_and_nodes_work(self) -> None:
        self.nodes_work()

    @precondition(lambda self: not self.calm)
    @rule()
    def the_operator_starts_anew(self) -> None:
        self.operator.restart()

    @precondition(lambda self: not self.calm)
    @rule(late=st.sets(st.sampled_from(KINDS)))
    def watches_are_late(self, late: set[str]) -> None:
        self.operator.late = late

    @precondition(lambda self: not self.calm)
    @rule(fault=st.sampled_from(FAULTS), after=st.integers(0, 2))
    def a_write_will_go_wrong(self, fault: Any, after: int) -> None:
        self.operator.cluster.faults = [*[None] * after, fault]

    @rule(away=st.booleans())
    def the_receiver_goes_or_comes(self, away: bool) -> None:
        self.operator.receiver.away = away

    @rule(seconds=st.sampled_from([5, 20, 90, 400, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.wait(seconds)

    @precondition(lambda self: not self.operator.late and not self.operator.cluster.faults)
    @rule()
    def all_comes_to_rest(self) -> None:
        self.rest()
        if self.body is not None:
            self.check_at_rest(self.body)

    @invariant()
    def a_calm_life_is_at_rest_at_every_step(self) -> None:
        if self.calm:
            self.all_comes_to_rest()

    # ----------------------------------------------------------------------------------------------------- what is held

    @invariant()
    def one_last_word(self) -> None:
        said: dict[str, str] = {}
        for webhook_id, state in self.operator.receiver.heard:
            uid = webhook_id.rpartition("-")[0]
            assert said.setdefault(uid, state) == state, self.operator.receiver.heard
            assert self.history.lives[uid].ending is not None

    def check_at_rest(self, body: Body) -> None:
        trainingjob, life = TrainingJob.model_validate(body), self.life(body)
        restarts = trainingjob.status.restarts or 0
        assert life.least_restarts() <= restarts <= life.most_restarts(blind=not self.calm), (restarts, life)
        if trainingjob.finished:
            assert not [pod for pod in self.pods() if not going(pod)]
            return
        first = [pod for pod in self.running() if index_of(pod) == 0]
        nodes = trainingjob.spec.trainer.nodes
        if len({index_of(pod) for pod in self.running()}) == nodes and not trainingjob.spec.suspend:
            assert trainingjob.status.phase == c.RUNNING
            assert trainingjob.status.pod_name in {pod["metadata"]["name"] for pod in first}
        elif self.starting() and not self.ending() and (nodes == 1 or len(self.api.all("pods")) == nodes):
            assert trainingjob.status.phase == c.PENDING
        elif (
            any(job["spec"]["suspend"] for job in self.api.all("jobs")) and not self.pods() and not trainingjob.deleting
        ):
            assert trainingjob.status.phase == c.SUSPENDED

    def teardown(self) -> None:
        """Nothing more happens; nodes and trainer do their part. Everything has to come to an end."""
        self.operator.late.clear()
        self.operator.cluster.faults.clear()
        self.operator.receiver.away = False
        try:
            self.finish()
            self.check_the_end()
        finally:
            self.operator.close()

    def finish(self) -> None:
        self.full = self.slow = False
        for _ in range(30):
            self.rest()
            if self.body is not None and self.body["spec"].get("suspend"):
                self.suspend_or_resume(held=False)
                self.rest()
            if not self.pods() and self.operator.next_due is None:
                return
            if self.running():
                self.the_trainer_succeeds(really=True, reported=True, container_only=False)
            self.wait(self.operator.next_due or 1.0)
        raise AssertionError(f"never at rest: {self.body}")

    def check_the_end(self) -> None:
        heard = {webhook_id.rpartition("-")[0] for webhook_id, _ in self.operator.receiver.heard}
        assert not self.pods(), "pods are left"
        for uid, life in self.history.lives.items():
            assert uid in heard or life.given_up or not (life.held and life.ending), (
                f"its callback was not told: {life}"
            )
        if self.body is None:
            assert not self.api.all("jobs")
            return
        trainingjob = TrainingJob.model_validate(self.body)
        assert trainingjob.finished
        assert not trainingjob.metadata.finalizers
        assert (trainingjob.metadata.uid in heard) == (trainingjob.spec.callback is not None)


TestLives = Lives.TestCase
LONG = os.environ.get("VOTT_CHAOS") == "long"
"""`make chaos`: more lives, and others each time; else the same ones, so that a failure is not a matter of chance."""
TestLives.settings = settings(
    max_examples=2500 if LONG else 150,
    derandomize=not LONG,
    stateful_step_count=30,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
