"""The script of docs/getting-started.md works as printed."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

from demo.shapes import annotated_images
from tests.support.cluster_harness import IMAGES, ClusterHarness, Submission

PAGE = Path(__file__).parents[2] / "docs" / "getting-started.md"


def script(page: str) -> str:
    """The page's Python code that sends a message."""
    blocks: list[str] = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (found,) = [block for block in blocks if "QueueClient" in block]
    return found


def write_images(folder: Path) -> None:
    """Write images and an annotations.csv as the page describes them."""
    with (folder / "annotations.csv").open("w", newline="") as file:
        for image in annotated_images(IMAGES):
            (folder / image.name).write_bytes(image.jpeg)
            csv.writer(file).writerows((image.name, b.x, b.y, b.width, b.height, b.label) for b in image.boxes)


def test_script_of_the_page_trains_on_local_images(harness: ClusterHarness, tmp_path: Path) -> None:
    receiver, container = harness.receiver(), f"{harness.name}-own"
    (tmp_path / "send.py").write_text(script(PAGE.read_text()))
    write_images(tmp_path)
    settings = {"AZURE_STORAGE_CONNECTION_STRING": harness.storage.connection_string, "QUEUE_NAME": harness.name}
    sent = subprocess.run(
        [sys.executable, "send.py", ".", container],
        cwd=tmp_path,
        env=os.environ | settings | {"STATUS_URL": receiver.url},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert sent.returncode == 0, sent.stderr
    Submission(harness, sent.stdout.split()[-1], receiver).wait_completed()
    assert harness.storage.download(container, "model.tgz")
    harness.storage.delete_container(container)
