"""One training by the real trainer, in a process of its own, and what it cost."""

import json
import os
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.quality.data_set import DataSet
from benchmarks.quality.variants import Variant
from tests.support.trainer_process import trainer_command, trainer_environment

KEPT = ("report.html", "metrics.json")
RECORD = "run.json"
LOG = "trainer.log"
INHERITED = ("VOTT_WEIGHTS",)  # of the trainer's settings
_LINES = 3  # of the log, shown after a failure


class FailedError(Exception):
    """The trainer failed; the text has the end of its log."""


@dataclass(frozen=True)
class Run:
    """A training to do: `folder` gets its report."""

    data_set: DataSet
    variant: Variant
    seed: int
    plugin: str
    folder: Path

    @property
    def title(self) -> str:
        """Data set, variant and seed."""
        return f"{self.data_set.name}, {self.variant.name}, seed {self.seed}"

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters for the trainer. Images are beside the annotations, wherever they were annotated."""
        return {"imagesUrl": ".", **self.variant.parameters, "seed": self.seed}

    @property
    def identity(self) -> dict[str, Any]:
        """What a finished run must have in common with this one to stand for it."""
        file = self.data_set.annotations
        return {"plugin": self.plugin, "parameters": self.parameters, "annotations": [str(file), file.stat().st_size]}


@dataclass(frozen=True)
class Cost:
    """What a process used.

    Attributes:
        minutes: from its start to its end, so with download and report.
        cpu_minutes: processor time.
        peak_mib: the most memory that it occupied; a GPU's memory does not count.
    """

    minutes: float
    cpu_minutes: float
    peak_mib: float


@dataclass(frozen=True)
class Result:
    """A finished training.

    Attributes:
        metrics: as in metrics.json, for example `mAP50`; 0 to 1.
        epochs: number of epochs that were trained.
        settings: the parameters with the defaults that the trainer chose.
        device: what it ran on, as text.
        cost: of the whole process.
    """

    metrics: dict[str, float]
    epochs: int
    settings: dict[str, Any]
    device: str
    cost: Cost

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a finished run."""
        report = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        metrics = {name: value for name, value in report["metrics"].items() if value is not None}
        cost = Cost(**json.loads((folder / RECORD).read_text(encoding="utf-8"))["cost"])
        return cls(metrics, len(report["history"]), report["settings"], report["device"], cost)


def is_finished(run: Run) -> bool:
    """Whether an earlier bench has the result of this run, with the same parameters."""
    try:
        record = json.loads((run.folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return bool(record["run"] == run.identity)


def perform(run: Run, url: str, cpus: set[int] | None) -> Result:
    """Train, and keep report, metrics and log.

    Args:
        run: the training.
        url: where the data set's folder is served.
        cpus: the only processors to use; None for all.

    Raises:
        FailedError: the trainer failed.
    """
    shutil.rmtree(run.folder, ignore_errors=True)
    model = run.folder / "model"
    model.mkdir(parents=True)
    command = trainer_command(
        f"--plugin={run.plugin}",
        f"--annotations={url}{run.data_set.annotations_path}",
        f"--model={model}/",
        f"--parameters={json.dumps(run.parameters)}",
    )
    environment = trainer_environment(**{name: os.environ[name] for name in INHERITED if name in os.environ})
    with (run.folder / LOG).open("wb") as log:
        code, cost = _measured(command, environment, log.fileno(), cpus)
    if code:
        raise FailedError("\n".join((run.folder / LOG).read_text(encoding="utf-8").splitlines()[-_LINES:]))
    for name in KEPT:
        (model / name).replace(run.folder / name)
    shutil.rmtree(model)
    record = {"run": run.identity, "cost": asdict(cost)}
    (run.folder / RECORD).write_text(json.dumps(record, indent=2), encoding="utf-8")
    return Result.read(run.folder)


def _measured(command: list[str], environment: dict[str, str], log: int, cpus: set[int] | None) -> tuple[int, Cost]:
    """Run a process to its end; return its exit code and what it used."""
    start = time.monotonic()
    with subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
        if cpus:
            os.sched_setaffinity(process.pid, cpus)
        _, status, usage = os.wait4(process.pid, 0)  # subprocess would discard the usage of this one process
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - start
    return process.returncode, Cost(seconds / 60, (usage.ru_utime + usage.ru_stime) / 60, usage.ru_maxrss / 1024)
