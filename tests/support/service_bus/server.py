"""The AMQP 1.0 server: connections, links, deliveries and their outcomes."""

import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

from proton import Condition, Delivery, Endpoint, Handler, Message, symbol
from proton.reactor import EventInjector

from tests.support.service_bus.nodes import LOCK_LOST, LOCK_LOST_TEXT, manage, put_token
from tests.support.service_bus.sections import encode_delivery, parse_incoming, request, split_batch
from tests.support.service_bus.store import LockLostError, Store, Stored

TICK_SECONDS = 0.05
CREDIT = 1000
WINDOW_BYTES = 16 * 1024 * 1024
MANAGEMENT = "/$management"
CBS = "$cbs"
ACTIVE = Endpoint.LOCAL_ACTIVE | Endpoint.REMOTE_ACTIVE
INFO: Any = {symbol("broker"): "test"}
"""The client can't parse an error without an info map."""

# Any, because the server adds attributes, and proton's own ones may be None in other states.
Event: TypeAlias = Any
Link: TypeAlias = Any
Session: TypeAlias = Any


class Server(Handler):
    """Single-threaded server; `injector` delivers the event that breaks all connections."""

    def __init__(self, store: Store, injector: EventInjector) -> None:
        super().__init__()
        self._store = store
        self._injector = injector
        self._senders: dict[str, list[Link]] = {}

    # Lifecycle

    def on_reactor_init(self, event: Event) -> None:
        event.container.selectable(self._injector)
        event.container.schedule(TICK_SECONDS, self)

    def on_timer_task(self, event: Event) -> None:
        for entity in self._store.expire():
            self._dispatch(entity)
        event.container.schedule(TICK_SECONDS, self)

    # Connections, sessions and links

    def on_connection_remote_open(self, event: Event) -> None:
        event.connection.container = "service-bus-test-broker"
        event.connection.has_token = False
        event.connection.open()

    def on_session_remote_open(self, event: Event) -> None:
        event.session.incoming_capacity = WINDOW_BYTES
        event.session.open()

    def on_link_remote_open(self, event: Event) -> None:
        link = event.link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.rcv_settle_mode = link.remote_rcv_settle_mode
        link.snd_settle_mode = link.remote_snd_settle_mode
        link.node = _node(link)
        link.open()
        error = self._link_error(link)
        if error is not None:
            link.condition = error
            link.close()
        elif link.is_receiver:
            link.flow(CREDIT)
        else:
            self._senders.setdefault(link.node, []).append(link)

    def _link_error(self, link: Link) -> Condition | None:
        entity = link.node.removesuffix(MANAGEMENT)
        if link.node == CBS:
            return None
        if not link.connection.has_token:
            return Condition("amqp:unauthorized-access", "Unauthorized access. 'Listen' claim(s) are required.", INFO)
        if not self._store.has(entity):
            return Condition("amqp:not-found", f"The messaging entity '{entity}' could not be found.", INFO)
        return None

    def on_link_remote_close(self, event: Event) -> None:
        self._remove(event.link)
        event.link.close()

    def on_link_remote_detach(self, event: Event) -> None:
        self._remove(event.link)
        event.link.detach()

    def on_session_remote_close(self, event: Event) -> None:
        self._remove_all(lambda link: link.session == event.session)
        event.session.close()

    def on_connection_remote_close(self, event: Event) -> None:
        self._remove_all(lambda link: link.connection == event.connection)
        event.connection.close()

    def on_transport_closed(self, event: Event) -> None:
        self._remove_all(lambda link: link.connection == event.connection)

    def on_cut(self, _event: Event) -> None:
        """Break all connections like a network failure."""
        connections = {link.connection for links in self._senders.values() for link in links}
        for connection in connections:
            connection.transport.close_head()
            connection.transport.close_tail()

    def _remove(self, link: Link) -> None:
        self._remove_all(lambda other: other == link)

    def _remove_all(self, is_removed: Callable[[Link], bool]) -> None:
        for links in self._senders.values():
            links[:] = [link for link in links if not is_removed(link)]

    # Outgoing messages

    def on_link_flow(self, event: Event) -> None:
        link = event.link
        if link.is_sender and hasattr(link, "node"):
            self._dispatch(link.node)
            if link.drain_mode:
                link.drained()

    def _dispatch(self, entity: str) -> None:
        """Deliver waiting messages to links with credit, round-robin."""
        if not _is_entity(entity):
            return
        links = self._senders.get(entity, [])
        while ready := [link for link in links if link.state == ACTIVE and link.credit > 0]:
            for link in ready:
                messages = self._store.lock(entity, 1)
                if not messages:
                    return
                _deliver(link, messages[0])
            links.append(links.pop(0))

    # Incoming messages, and outcomes

    def on_delivery(self, event: Event) -> None:
        delivery = event.delivery
        if delivery.link.is_receiver:
            if delivery.readable and not delivery.partial:
                self._receive(delivery.link, delivery)
        elif delivery.updated:
            self._outcome(delivery)

    def _receive(self, link: Link, delivery: Any) -> None:
        encoded = link.recv(delivery.pending)
        link.advance()
        if link.node == CBS:
            self._authenticate(link.session, encoded)
        elif link.node.endswith(MANAGEMENT):
            entity = link.node.removesuffix(MANAGEMENT)
            self._reply(link.session, link.node, manage(entity, request(encoded), self._store, self._dispatch))
        else:
            self._store.put(link.node, [parse_incoming(each) for each in split_batch(encoded)])
        delivery.update(Delivery.ACCEPTED)
        delivery.settle()
        link.flow(1)
        self._dispatch(link.node)

    def _authenticate(self, session: Session, encoded: bytes) -> None:
        session.connection.has_token, response = put_token(request(encoded), self._store)
        self._reply(session, CBS, response)

    def _reply(self, session: Session, node: str, response: Message) -> None:
        for link in self._senders.get(node, []):
            if link.session == session:
                link.send(response)

    def _outcome(self, delivery: Any) -> None:
        if _is_entity(delivery.link.node):  # responses have no state
            self._settle(delivery)
        delivery.settle()

    def _settle(self, delivery: Any) -> None:
        state = delivery.remote_state
        try:
            entity = self._apply(delivery.lock_token, state, delivery)
        except LockLostError:
            delivery.local.condition = Condition(LOCK_LOST, LOCK_LOST_TEXT, INFO)
            delivery.update(Delivery.REJECTED)
        else:
            delivery.update(state)
            self._dispatch(entity)

    def _apply(self, token: bytes, state: int, delivery: Any) -> str:
        if state == Delivery.ACCEPTED:
            return self._store.complete(token)
        if state == Delivery.MODIFIED:
            return self._store.abandon(token)
        if state == Delivery.REJECTED:
            info = {str(name): str(value) for name, value in (delivery.remote.condition.info or {}).items()}
            reason = info.get("DeadLetterReason", "")
            return self._store.dead_letter(token, reason, info.get("DeadLetterErrorDescription", ""))
        return self._store.release(token)


def _deliver(link: Link, message: Stored) -> None:
    assert message.lock_token is not None
    delivery = link.delivery(uuid.UUID(bytes=message.lock_token).bytes_le)
    delivery.lock_token = message.lock_token
    link.stream(encode_delivery(message))
    link.advance()


def _is_entity(node: str) -> bool:
    return node != CBS and not node.endswith(MANAGEMENT)


def _node(link: Link) -> str:
    """The link's entity or node in lower case, from an address with or without scheme and host."""
    terminus = link.remote_source if link.is_sender else link.remote_target
    address = str(terminus.address or "")
    if "://" in address:
        address = address.split("://", 1)[1].partition("/")[2]
    return address.strip("/").lower()
