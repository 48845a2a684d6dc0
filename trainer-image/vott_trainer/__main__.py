"""`python -m vott_trainer`: train or predict, and end with the contract's exit code (docs/trainer-contract.md)."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from vott_guard import exit_codes
from vott_trainer import logs, termination_message
from vott_trainer.command_line import callback, parse
from vott_trainer.errors import InterruptedTrainingError, TrainerError, UsageError, describe
from vott_trainer.process.layout import Layout
from vott_trainer.process.openmp import limit_spinning
from vott_trainer.process.ranks import Ranks
from vott_trainer.process.sigterm import PROCESS, print_at_signal
from vott_trainer.progress.reporting import post_usage_error
from vott_trainer.settings import PredictSettings, TrainSettings
from vott_trainer.termination_message import write_termination_message
from vott_trainer.training import train

DAEMON = "traind.py"
"""First argument that starts the daemon instead; the name of the first VoTT-train's program, as in `docker run IMAGE traind.py`."""

log = logging.getLogger("vott_trainer")


def main(
    argv: Sequence[str],
    termination_log: Path = termination_message.PATH,
    before_training: Callable[[], None] = lambda: None,
) -> int:
    """Run one command and return its exit code."""
    try:
        logs.configure(ranks := Ranks.from_environment())
        return _run(argv, ranks, before_training)
    except InterruptedTrainingError:
        return exit_codes.SIGTERM
    except TrainerError as error:
        log.error("%s: %s", error.reason, describe(error))
        write_termination_message(error.reason, describe(error), termination_log)
        return error.exit_code
    except Exception as error:
        log.exception("an error in the plugin or the trainer")
        write_termination_message(TrainerError.reason, describe(error), termination_log)
        return TrainerError.exit_code


def _run(argv: Sequence[str], ranks: Ranks, before_training: Callable[[], None]) -> int:
    layout = Layout.from_environment()
    settings = _parse(argv, first=ranks.leads and not (layout and layout.node))
    if isinstance(settings, PredictSettings):
        from vott_trainer.prediction import predict  # not for a training

        predict(settings)
    elif layout:
        from vott_trainer.process.launcher import launch  # imports torch, which one process may not need

        return launch(argv, layout)
    else:
        before_training()
        train(settings, ranks)
    return 0


def _parse(argv: Sequence[str], *, first: bool) -> TrainSettings | PredictSettings:
    """Parse the command line; of several processes the first posts a usage error to the callback."""
    try:
        return parse(argv)
    except UsageError as error:
        if first and (receiver := callback(argv)):
            post_usage_error(receiver, error)
        raise


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """End at once: nothing has started yet."""
    print_at_signal("SIGTERM: stopping")
    os._exit(exit_codes.SIGTERM)


def command() -> None:
    """Run the command line's command and exit."""
    signal.signal(signal.SIGTERM, _stop)
    if sys.argv[1:2] == [DAEMON]:
        from vott_traind.__main__ import main as daemon  # starts trainers as child processes: none needs it

        sys.exit(daemon(sys.argv[2:]))
    logs.redact_output()
    limit_spinning()
    sys.exit(main(sys.argv[1:], before_training=PROCESS.listen))


if __name__ == "__main__":
    command()
