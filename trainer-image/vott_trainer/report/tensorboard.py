"""The training's curves as TensorBoard's event files."""

import math
from pathlib import Path

from vott_trainer.report.result import Result


def write_events(folder: Path, result: Result) -> None:
    """Write each figure of each epoch into `folder`; nothing where there is no history."""
    if not result.history:
        return
    from tensorboardX import SummaryWriter  # imports torch, which a plugin without history need not have done

    with SummaryWriter(str(folder)) as writer:
        for row in result.history:
            for name, value in row.items():
                if name != "epoch" and isinstance(value, int | float) and math.isfinite(value):
                    writer.add_scalar(name, value, row["epoch"])
