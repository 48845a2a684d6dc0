"""The simulated namespace: API server, controllers, nodes and the operator, with a history of all writes."""

from datetime import timedelta

from tests.unit.operator.simulator import ApiServer, Body
from tests.unit.operator.simulator_controllers import Controllers, Kubelet, exit_code, has_proxy, is_alive, is_deleting
from tests.unit.operator.simulator_history import History, Life
from tests.unit.operator.simulator_operator import KEY, Operator

ROUNDS = 400


class World:
    """A namespace with one TrainingJob at a time."""

    def __init__(self) -> None:
        super().__init__()  # a mixin of hypothesis' state machine
        self.api = ApiServer()
        self.operator = Operator(self.api)
        self.controllers = Controllers(self.api)
        self.kubelet = Kubelet(self.api)
        self.history = History(self.api)
        self.calm = True
        """Whether no watch is late and no write of the operator fails."""
        self.full = False
        """Whether the nodes have no capacity for new pods."""
        self.slow = False
        """Whether pods that have to end are still running."""
        operator_watch = self.api.watch

        def watch(event: str, plural: str, body: Body) -> None:
            operator_watch(event, plural, body)
            self.history.check(event, plural, body)

        self.api.watch = watch

    def sync_nodes(self) -> None:
        """End and start pods as far as `full` and `slow` permit, with one round of the controllers in between."""
        for pod in [] if self.slow else self.ending():
            self.kubelet.end(pod, 143 if exit_code(pod) is None else exit_code(pod) or 0)
        self.controllers.sync()
        for pod in [] if self.full else self.starting():
            self.kubelet.start(pod)

    @property
    def body(self) -> Body | None:
        """The TrainingJob, if there is one."""
        return self.api.find("trainingjobs", KEY.name)

    def life(self, body: Body) -> Life:
        return self.history.lives[body["metadata"]["uid"]]

    def run_until_idle(self) -> None:
        """Run operator, controllers and nodes until none of them has anything to do at the present time."""
        for _ in range(ROUNDS):
            before = (str(self.api.objects), self.operator.next_due)
            self.sync_nodes()
            self.operator.deliver_events()
            self.operator.process_due()
            if before == (str(self.api.objects), self.operator.next_due) and before[1] != 0:
                return
        raise AssertionError(f"never idle: {self.api.objects}")

    def wait(self, seconds: float) -> None:
        self.api.now += timedelta(seconds=seconds)

    def pods(self) -> list[Body]:
        return [pod for pod in self.api.all("pods") if is_alive(pod)]

    def starting(self) -> list[Body]:
        return [pod for pod in self.pods() if pod["status"]["phase"] == "Pending" and not is_deleting(pod)]

    def running(self) -> list[Body]:
        return [
            pod
            for pod in self.pods()
            if pod["status"]["phase"] == "Running" and exit_code(pod) is None and not is_deleting(pod)
        ]

    def ending(self) -> list[Body]:
        """Pods that end by themselves: deleted ones, and those without a proxy whose trainer has ended."""
        return [
            pod
            for pod in self.pods()
            if (is_deleting(pod) and pod["spec"].get("nodeName")) or (exit_code(pod) is not None and not has_proxy(pod))
        ]

    @staticmethod
    def pick(pods: list[Body], number: int) -> Body:
        return pods[number % len(pods)]
