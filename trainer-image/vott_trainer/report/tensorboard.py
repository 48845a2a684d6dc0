"""TensorBoard event files of the training."""

import math
from pathlib import Path

from vott_trainer.report.result import Result


def write_events(folder: Path, result: Result) -> None:
    """Write the metrics of each epoch into `folder`; nothing if there is no history."""
    if not result.history:
        return
    from tensorboardX import SummaryWriter  # imports torch, which a plugin without history may not need

    with SummaryWriter(str(folder)) as writer:
        for row in result.history:
            for name, value in row.items():
                if name != "epoch" and isinstance(value, int | float) and math.isfinite(value):
                    writer.add_scalar(name, value, row["epoch"])
