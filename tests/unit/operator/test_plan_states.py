"""A state machine of random events around a TrainingJob: the operator's reconciler over a simulated cluster.

At every write: pods of two Jobs are never alive at once, and an ending is final. When idle: the status is true, and the
restarts are counted right. At the end: everything becomes idle, and each outcome was posted once.
"""

import copy
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.observed_state import MODEL
from tests.unit.operator.simulator import FAULTS, NAMESPACE, Body
from tests.unit.operator.simulator_controllers import completion_index, exit_code, is_deleting
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
    """TrainingJobs of one name, one after another, and the events around them."""

    # ---------------------------------------------------------------------------------------------------------- users

    @initialize(spec=SPECS, calm=st.booleans())
    def begin(self, spec: dict[str, Any], calm: bool) -> None:
        self.calm = calm
        self.backup: Body | None = None
        self.restored: set[str] = set()
        """uids of TrainingJobs that had ended before they were restored."""
        self.create(spec)

    def create(self, spec: dict[str, Any]) -> None:
        spec = {"annotations": {"url": "https://h/a.csv"}, "model": {"url": "https://h/m"}} | spec
        metadata = {"name": KEY.name, "namespace": NAMESPACE}
        self.api.create("trainingjobs", {"metadata": metadata, "spec": spec, "status": {"phase": c.PENDING}})

    @precondition(lambda self: self.body is None)
    @rule(spec=SPECS)
    def create_a_successor_of_the_same_name(self, spec: dict[str, Any]) -> None:
        self.create(spec)

    @precondition(lambda self: self.body is not None)
    @rule()
    def a_backup_is_made(self) -> None:
        self.backup = copy.deepcopy(self.body)

    @precondition(lambda self: self.body is None and self.backup is not None)
    @rule()
    def the_backup_is_restored(self) -> None:
        """Create it again as backup tools do: under a new uid, without its status."""
        assert self.backup is not None
        kept = ("name", "namespace", "annotations", "finalizers")
        metadata = {field: value for field, value in self.backup["metadata"].items() if field in kept}
        body = {"metadata": metadata, "spec": self.backup["spec"], "status": {"phase": c.PENDING}}
        uid = self.api.create("trainingjobs", body)["metadata"]["uid"]
        if c.ANNOTATION_ENDED in metadata.get("annotations", {}):
            self.restored.add(uid)

    @precondition(lambda self: self.body is not None)
    @rule(suspend=st.booleans())
    def suspend_or_resume(self, suspend: bool) -> None:
        self.api.update("trainingjobs", KEY.name, lambda body: body["spec"].update(suspend=suspend))

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
        self.full, self.slow = full, slow

    @precondition(lambda self: self.starting())
    @rule(number=st.integers(0, 3), rejected=st.booleans())
    def a_pod_is_scheduled(self, number: int, rejected: bool) -> None:
        act = self.kubelet.reject if rejected else self.kubelet.bind
        act(self.pick(self.starting(), number))

    @precondition(lambda self: self.running())
    @rule(number=st.integers(0, 3), code=st.sampled_from([1, 65, 143, 137]), container_only=st.booleans())
    def a_pod_fails(self, number: int, code: int, container_only: bool) -> None:
        self.kubelet.end(self.pick(self.running(), number), code, container_only=container_only)

    @precondition(lambda self: self.running())
    @rule(number=st.integers(0, 3), code=st.sampled_from([0, 1, 65, 143]), reported=st.booleans(), really=SELDOM)
    def the_trainer_ends_beside_a_proxy(self, number: int, code: int, reported: bool, really: bool) -> None:
        if really or code:
            self.kubelet.end_trainer(self.pick(self.running(), number), code)
            self.report_model(reported=reported and not code)

    @precondition(lambda self: self.running())
    @rule()
    def the_trainer_begins_an_epoch(self) -> None:
        """And reports nothing more: after six hours it hangs."""
        if self.body is not None:
            progress = {"epochCurrent": 1}
            self.api.update("trainingjobs", KEY.name, lambda body: body["status"].update(progress=progress))

    @precondition(lambda self: self.running())
    @rule(number=st.integers(0, 3))
    def a_pod_is_evicted(self, number: int) -> None:
        self.kubelet.evict(self.pick(self.running(), number))

    @precondition(lambda self: self.pods())
    @rule(number=st.integers(0, 3), reason=st.sampled_from([*DISRUPTIONS, "DeletionByTaintManager"]))
    def a_pod_is_disrupted(self, number: int, reason: str) -> None:
        self.kubelet.disrupt(self.pick(self.pods(), number), reason)

    @precondition(lambda self: self.ending())
    @rule(code=st.sampled_from([143, 137]))
    def ending_pods_end(self, code: int) -> None:
        for pod in self.ending():
            ended_with = exit_code(pod)
            self.kubelet.end(pod, code if ended_with is None else ended_with)

    @precondition(lambda self: self.running())
    @rule(really=SELDOM, reported=st.booleans(), container_only=st.booleans())
    def the_trainer_succeeds(self, really: bool, reported: bool, container_only: bool) -> None:
        if not really:
            return
        self.report_model(reported=reported)
        for pod in self.running():
            self.kubelet.end(pod, 0, container_only=container_only)

    def report_model(self, *, reported: bool) -> None:
        if reported and self.body is not None:
            self.api.update("trainingjobs", KEY.name, lambda body: body["status"].update(model=MODEL))

    # ------------------------------------------------------------------------------------- the operator, and what goes wrong

    @precondition(lambda self: not self.calm)
    @rule(rounds=st.integers(1, 3))
    def the_operator_runs(self, rounds: int) -> None:
        for _ in range(rounds):
            self.operator.deliver_events()
            self.operator.process_due()

    @precondition(lambda self: not self.calm)
    @rule()
    def nodes_and_controllers_sync(self) -> None:
        self.sync_nodes()

    @precondition(lambda self: not self.calm)
    @rule()
    def the_operator_restarts(self) -> None:
        self.operator.restart()

    @precondition(lambda self: not self.calm)
    @rule(late=st.sets(st.sampled_from(KINDS)))
    def watches_are_late(self, late: set[str]) -> None:
        self.operator.late_watches = late

    @precondition(lambda self: not self.calm)
    @rule(fault=st.sampled_from(FAULTS), after=st.integers(0, 2))
    def a_write_will_fail(self, fault: Any, after: int) -> None:
        self.operator.cluster.faults = [*[None] * after, fault]

    @rule(unavailable=st.booleans())
    def the_receiver_is_unavailable(self, unavailable: bool) -> None:
        self.operator.receiver.unavailable = unavailable

    @rule(seconds=st.sampled_from([5, 20, 90, 400, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.wait(seconds)

    @precondition(lambda self: not self.operator.late_watches and not self.operator.cluster.faults)
    @rule()
    def everything_becomes_idle(self) -> None:
        self.run_until_idle()
        if self.body is not None:
            self.check_idle(self.body)

    @invariant()
    def a_calm_life_becomes_idle_at_every_step(self) -> None:
        if self.calm:
            self.everything_becomes_idle()

    # ----------------------------------------------------------------------------------------------------- invariants

    @invariant()
    def rejected_pods_end_no_training(self) -> None:
        assert ("Failed", c.POD_REJECTED) not in {life.ending for life in self.history.lives.values()}

    @invariant()
    def one_outcome(self) -> None:
        outcomes: dict[str, str] = {}
        for webhook_id, state in self.operator.receiver.posts:
            uid = webhook_id.rpartition("-")[0]
            assert outcomes.setdefault(uid, state) == state, self.operator.receiver.posts
            assert self.history.lives[uid].ending is not None

    @invariant()
    def what_had_ended_neither_trains_nor_calls_back(self) -> None:
        posted = {webhook_id.rpartition("-")[0] for webhook_id, _ in self.operator.receiver.posts}
        for uid in getattr(self, "restored", ()):  # not set before the first step
            assert not self.history.lives[uid].runs
            assert uid not in posted

    def check_idle(self, body: Body) -> None:
        trainingjob, life = TrainingJob.model_validate(body), self.life(body)
        restarts = trainingjob.status.restarts or 0
        assert life.least_restarts() <= restarts <= life.most_restarts(may_miss_suspensions=not self.calm), (
            restarts,
            life,
        )
        if trainingjob.finished:
            assert not [pod for pod in self.pods() if not is_deleting(pod)]
            return
        first = [pod for pod in self.running() if completion_index(pod) == 0]
        nodes = trainingjob.spec.trainer.nodes
        if len({completion_index(pod) for pod in self.running()}) == nodes and not trainingjob.spec.suspend:
            assert trainingjob.status.phase == c.RUNNING
            assert trainingjob.status.pod_name in {pod["metadata"]["name"] for pod in first}
        elif self.starting() and not self.ending() and (nodes == 1 or len(self.api.all("pods")) == nodes):
            assert trainingjob.status.phase == c.PENDING
        elif (
            any(job["spec"]["suspend"] for job in self.api.all("jobs")) and not self.pods() and not trainingjob.deleting
        ):
            assert trainingjob.status.phase == c.SUSPENDED

    def teardown(self) -> None:
        """Let nodes and trainer finish; everything must become idle."""
        self.operator.late_watches.clear()
        self.operator.cluster.faults.clear()
        self.operator.receiver.unavailable = False
        try:
            self.finish()
            self.check_the_end()
        finally:
            self.operator.close()

    def finish(self) -> None:
        self.full = self.slow = False
        for _ in range(30):
            self.run_until_idle()
            if self.body is not None and self.body["spec"].get("suspend"):
                self.suspend_or_resume(suspend=False)
                self.run_until_idle()
            if not self.pods() and self.operator.next_due is None:
                return
            if self.running():
                self.the_trainer_succeeds(really=True, reported=True, container_only=False)
            self.wait(max(self.operator.next_due or 1.0, 1e-6))  # the clock has microseconds, and rounds less to none
        raise AssertionError(f"never idle: {self.body}")

    def check_the_end(self) -> None:
        posted = {webhook_id.rpartition("-")[0] for webhook_id, _ in self.operator.receiver.posts}
        assert not self.pods(), "pods are left"
        for uid, life in self.history.lives.items():
            if uid in self.restored:
                continue
            assert uid in posted or life.given_up or not (life.had_finalizer and life.ending), f"no outcome: {life}"
        if self.body is None:
            assert not self.api.all("jobs")
            return
        trainingjob = TrainingJob.model_validate(self.body)
        assert trainingjob.finished
        assert not trainingjob.metadata.finalizers
        uid = trainingjob.metadata.uid
        assert (uid in posted) == (trainingjob.spec.callback is not None and uid not in self.restored)


TestLives = Lives.TestCase
LONG = os.environ.get("VOTT_CHAOS") == "long"
"""`make chaos`: more lives, different in each run. Otherwise the same ones, so that failures are reproducible."""
TestLives.settings = settings(
    max_examples=2500 if LONG else 150,
    derandomize=not LONG,
    stateful_step_count=30,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
