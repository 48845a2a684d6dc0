"""The broker: `python -m tests.support.service_bus HOST AMQP_PORT CONTROL_PORT FILE`."""

import sys
from pathlib import Path
from threading import Thread

from proton.reactor import ApplicationEvent, Container, EventInjector

from tests.support.service_bus.control import control_server
from tests.support.service_bus.server import Server
from tests.support.service_bus.store import Store


def main(host: str, amqp_port: str, control_port: str, file: str) -> None:
    """Serve until killed."""
    injector = EventInjector()
    container = Container(Server(Store(Path(file)), injector))
    container.listen(f"{host}:{amqp_port}")
    address = (host, int(control_port))  # once it responds, clients can connect
    control = control_server(address, Store(Path(file)), lambda: injector.trigger(ApplicationEvent("cut")))
    Thread(target=control.serve_forever, daemon=True).start()
    container.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
