"""One namespace with all that acts in it: API server, controllers, nodes, operator, and the history that must hold."""

from datetime import timedelta

from tests.unit.operator.simulator import ApiServer, Body
from tests.unit.operator.simulator_controllers import Controllers, Kubelet, alive, exit_code, going
from tests.unit.operator.simulator_history import History, Life
from tests.unit.operator.simulator_operator import KEY, Operator

ROUNDS = 400


class World:
    """Of one TrainingJob at a time."""

    def __init__(self) -> None:
        super().__init__()  # of what it is mixed into
        self.api = ApiServer()
        self.operator = Operator(self.api)
        self.controllers = Controllers(self.api)
        self.kubelet = Kubelet(self.api)
        self.history = History(self.api)
        self.calm = True
        """Whether the operator sees everything in time and no write of its goes wrong."""
        self.full = self.slow = False
        told = self.api.watch

        def watch(event: str, plural: str, body: Body) -> None:
            told(event, plural, body)
            self.history.note(event, plural, body)

        self.api.watch = watch

    def nodes_work(self) -> None:
        for pod in [] if self.slow else self.ending():
            self.kubelet.end(pod, 143 if exit_code(pod) is None else exit_code(pod) or 0)
        self.controllers.work()
        for pod in [] if self.full else self.starting():
            self.kubelet.start(pod)

    @property
    def body(self) -> Body | None:
        return self.api.find("trainingjobs", KEY.name)

    def life(self, body: Body) -> Life:
        return self.history.lives[body["metadata"]["uid"]]

    def rest(self) -> None:
        """Operator and controllers work until neither has anything to do at this moment."""
        for _ in range(ROUNDS):
            before = (str(self.api.objects), self.operator.next_due)
            self.nodes_work()
            self.operator.hear()
            self.operator.work()
            if before == (str(self.api.objects), self.operator.next_due) and before[1] != 0:
                return
        raise AssertionError(f"never at rest: {self.api.objects}")

    def wait(self, seconds: float) -> None:
        self.api.now += timedelta(seconds=seconds)

    def pods(self) -> list[Body]:
        return [pod for pod in self.api.all("pods") if alive(pod)]

    def starting(self) -> list[Body]:
        return [pod for pod in self.pods() if pod["status"]["phase"] == "Pending" and not going(pod)]

    def running(self) -> list[Body]:
        return [
            pod
            for pod in self.pods()
            if pod["status"]["phase"] == "Running" and exit_code(pod) is None and not going(pod)
        ]

    def ending(self) -> list[Body]:
        return [pod for pod in self.pods() if (going(pod) and pod["spec"]) or exit_code(pod) is not None]

    @staticmethod
    def pick(pods: list[Body], number: int) -> Body:
        return pods[number % len(pods)]
