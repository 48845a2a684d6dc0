"""What a daemon that was killed has left behind: trainers, URLs with credentials, and work."""

import asyncio
import logging
import shutil
from dataclasses import replace
from pathlib import Path

from vott_traind.folders import StateFolder, TrainingFolder
from vott_traind.processes import end_leftover
from vott_traind.records import Records

logger = logging.getLogger(__name__)


async def clear_leftovers(state: StateFolder, records: Records, work: Path, grace_seconds: float) -> None:
    """End the trainers, so that no two train the same, and count the crash in their records; remove URLs and work.

    Args:
        state: the state folder, which this daemon has locked.
        records: its records.
        work: the folder with those of the slots.
        grace_seconds: how long the trainers may still save.
    """
    await asyncio.gather(*(_clear(folder, records, grace_seconds) for folder in state.trainings()))
    await asyncio.to_thread(_remove_work, work)


async def _clear(folder: TrainingFolder, records: Records, grace_seconds: float) -> None:
    try:
        if folder.process.exists():
            await _end_attempt(folder, records, grace_seconds)
    except OSError as error:
        logger.warning("%s: what a killed daemon has left behind can't be cleared: %s", folder.path, error)
    shutil.rmtree(folder.urls, ignore_errors=True)


async def _end_attempt(folder: TrainingFolder, records: Records, grace_seconds: float) -> None:
    await end_leftover(folder.process, grace_seconds)
    record = records.get(folder.path.name)
    if record is not None and record.outcome is None:
        records.put(replace(record, crashes=record.crashes + 1))
    folder.process.unlink()


def _remove_work(work: Path) -> None:
    for slot in work.glob("slot-*"):
        shutil.rmtree(slot, ignore_errors=True)
