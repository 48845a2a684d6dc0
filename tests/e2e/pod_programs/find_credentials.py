"""A script plugin that searches for credentials. It fails with the places of those it finds, else uploads a dummy model."""

import argparse
import os
import sys
import urllib.request
from pathlib import Path

parser = argparse.ArgumentParser()
for name in ("--annotations", "--model", "--status"):
    parser.add_argument(name)
urls = parser.parse_args()


def readable(path: Path) -> bool:
    """Whether the file can be read and is not empty."""
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def files(folder: Path) -> list[Path]:
    """All visible files below the folder."""
    return [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]


trainer = Path(f"/proc/{os.getppid()}")
token = Path("kubernetes.io/serviceaccount/token")
secrets = (Path("/run/secrets"), Path("/var/run/secrets"), trainer / "root/run/secrets", trainer / "cwd/../run/secrets")
paths = [path for folder in secrets for path in (folder / token, *files(folder))]
found = [str(path) for path in [*paths, trainer / "environ", trainer / "mem"] if readable(path)]
found += [name for name in os.environ if name.startswith(("AZURE_", "AWS_", "KUBERNETES_", "TRAININGJOB_"))]
if found:
    sys.exit(f"found {found}")
headers = {"x-ms-blob-type": "BlockBlob"}
urllib.request.urlopen(urllib.request.Request(urls.model, b"nothing", headers, method="PUT")).close()
