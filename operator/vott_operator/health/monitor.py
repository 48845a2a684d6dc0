"""Records an Event about the operator's pod when a condition has not held for a while, and when it holds again."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from vott_guard.log_repeats import Repeats
from vott_messaging.callbacks.signing_key_files import read_signing_keys
from vott_messaging.errors import SettingsError
from vott_operator.cluster.client import Cluster
from vott_operator.cluster.events import record_pod_event
from vott_operator.decisions.transition_events import Event
from vott_operator.health.conditions import REASONS, RECOVERIES, SIGNING_KEYS_USABLE, Health, HealthCondition

logger = logging.getLogger(__name__)

CHECK_SECONDS = 5.0
CHECKS_UNTIL_EVENT = 3
"""Checks in a row that find a problem before it is worth an Event."""


class HealthMonitor:
    """Checks the conditions periodically. The leader and the standby do so, each for itself."""

    def __init__(
        self, health: Health, cluster: Cluster, namespace: str, signing_dir: Path | None, clock: Callable[[], datetime]
    ) -> None:
        """`namespace` is the operator's own."""
        self._health = health
        self._cluster = cluster
        self._namespace = namespace
        self._signing_dir = signing_dir
        self._clock = clock
        self._repeats = Repeats()
        self._failed_checks: dict[tuple[str, str], int] = {}

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(CHECK_SECONDS)

    async def check(self) -> None:
        """Check all conditions once."""
        if self._signing_dir is not None:
            self._check_signing_keys()
        for condition in self._health.conditions():
            await self._record(condition)

    def _check_signing_keys(self) -> None:
        """Report unusable keys now rather than at the end of a training. Everything but callbacks works without them."""
        try:
            read_signing_keys(self._signing_dir)
        except SettingsError as error:
            if self._repeats.is_news(SIGNING_KEYS_USABLE, str(error)):
                logger.error("no callback is sent until this is fixed: %s", error)
            self._health.report(SIGNING_KEYS_USABLE, "", f"No callback is sent until this is fixed: {error}.")
        else:
            if self._repeats.end(SIGNING_KEYS_USABLE):
                logger.info("the signing keys are usable again")
            self._health.report(SIGNING_KEYS_USABLE, "", "")

    async def _record(self, condition: HealthCondition) -> None:
        key = condition.type, condition.subject
        if condition.ok:
            if self._failed_checks.pop(key, 0) >= CHECKS_UNTIL_EVENT:
                await self._record_event(
                    Event("Normal", condition.type, RECOVERIES[condition.type].format(condition.subject))
                )
            return
        failed = self._failed_checks[key] = self._failed_checks.get(key, 0) + 1
        if failed == CHECKS_UNTIL_EVENT:
            await self._record_event(Event("Warning", REASONS[condition.type], condition.message))

    async def _record_event(self, event: Event) -> None:
        await record_pod_event(self._cluster, self._namespace, event, self._clock())
