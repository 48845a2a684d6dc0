"""A program in place of the trainer: its parameters say how each attempt ends, and whether it waits for SIGTERM.

`{"ends": [75, 0]}`: the first attempt ends with 75, all others with 0 and a model.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

MODEL = {"model": {"url": "https://store/m.tgz", "sizeBytes": 7}, "metrics": [{"name": "mAP", "value": 0.5}]}


def main(arguments: list[str]) -> int:
    """Run one attempt."""
    options = dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
    parameters, status = json.loads(options["parameters"]), Path(options["status-file"])
    count = status.with_name("attempts")
    attempt = int(count.read_text()) if count.exists() else 0
    _write(count, attempt + 1)
    ends = parameters.get("ends", [0])
    end = ends[min(attempt, len(ends) - 1)]
    print(f"2026-01-01T00:00:00Z INFO    attempt {attempt} of {options['name']}", flush=True)
    if end == "silent":
        return 75
    if end == "script":  # which reports no progress
        time.sleep(1)
        _write(status, MODEL)
        return 0
    report: dict[str, object] = {"progress": {"percent": 50, "epochCurrent": 1}, "message": "Half"}
    _write(status, report)
    if end == "wait":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        time.sleep(60)
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "slow":
        time.sleep(1)
    if end in (0, "slow", "late failure"):
        _write(status, report | MODEL)
        return 75 if end == "late failure" else 0
    if end == "no model":
        return 0
    failure = {"reason": "BadAnnotations", "message": "line 1: wrong."}
    Path(os.environ["VOTT_TERMINATION_LOG"]).write_text(json.dumps(failure))
    return int(end)


def _write(file: Path, content: object) -> None:
    (partial := file.with_suffix(".partial")).write_text(json.dumps(content))
    partial.replace(file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
