"""`python -m vott_trainer`: parse, train or predict, and end with the contract's exit code (docs/trainer-contract.md)."""

import fcntl
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from vott_trainer import exit_codes, logs
from vott_trainer.errors import InterruptedTrainingError, PeerLostError, TrainerError, UsageError
from vott_trainer.process.layout import Layout
from vott_trainer.process.ranks import Ranks
from vott_trainer.process.sigterm import PROCESS
from vott_trainer.settings import PredictSettings, TrainSettings, callback_of, parse
from vott_trainer.training import explain, refuse, train

log = logging.getLogger("vott_trainer")

TERMINATION_LOG = Path(os.environ.get("VOTT_TERMINATION_LOG") or "/dev/termination-log")
TERMINATION_LOG_BYTES = 4096  # what the kubelet reads of it


def main(
    argv: Sequence[str],
    termination_log: Path = TERMINATION_LOG,
    before_training: Callable[[], None] = lambda: None,
) -> int:
    """Run one command and return its exit code."""
    try:
        logs.configure(ranks := Ranks.from_environment())
        return _run(argv, ranks, before_training)
    except InterruptedTrainingError:
        return exit_codes.SIGTERM
    except TrainerError as error:
        log.error("%s: %s", error.reason, explain(error))
        leave_message(error.reason, explain(error), termination_log)
        return error.exit_code
    except Exception as error:
        log.exception("a fault in the plugin or the trainer")
        leave_message(TrainerError.reason, explain(error), termination_log)
        return TrainerError.exit_code


def _run(argv: Sequence[str], ranks: Ranks, before_training: Callable[[], None]) -> int:
    layout = Layout.from_environment()
    settings = _parse(argv, first=ranks.leads and not (layout and layout.node))
    if isinstance(settings, PredictSettings):
        from vott_trainer.prediction import predict  # a training does not need it

        predict(settings)
    elif layout:
        from vott_trainer.process.launcher import launch  # nor does one process need torch's launcher

        return launch(argv, layout)
    else:
        before_training()
        train(settings, ranks)
    return 0


def _parse(argv: Sequence[str], *, first: bool) -> TrainSettings | PredictSettings:
    try:
        return parse(argv)
    except UsageError as error:
        if first and (status := callback_of(argv)):
            refuse(status, error)
        raise


def leave_message(reason: str, message: str, path: Path) -> None:
    """Write the termination message, cut to what the kubelet reads; only a container has that file.

    Several processes may fail in one container: the first one's word stands, but any cause is better than a mere lost peer.
    """
    if not path.exists():
        return
    with path.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        said = file.read()
        if said and (reason == PeerLostError.reason or f'"{PeerLostError.reason}"' not in said):
            return
        file.seek(0)
        file.write(_termination_message(reason, message))
        file.truncate()


def _termination_message(reason: str, message: str) -> str:
    text = json.dumps({"reason": reason, "message": message}, ensure_ascii=False)
    while len(text.encode()) > TERMINATION_LOG_BYTES:
        message = message[: len(message) * 9 // 10]
        text = json.dumps({"reason": reason, "message": f"{message}…"}, ensure_ascii=False)
    return text


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """End at once: nothing has begun."""
    os.write(1, b"SIGTERM: stopping\n")
    os._exit(exit_codes.SIGTERM)


def command() -> None:
    """Run what the command line says and exit."""
    signal.signal(signal.SIGTERM, _stop)
    logs.redact_output()
    sys.exit(main(sys.argv[1:], before_training=PROCESS.listen))


if __name__ == "__main__":
    command()
