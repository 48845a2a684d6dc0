"""A script plugin that looks for credentials; finding one, it fails and says where. It uploads a model that is as good as none."""

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
    """Whether there is anything to be read."""
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def files(folder: Path) -> list[Path]:
    """All below it that can be seen."""
    return [Path(place) / name for place, _, names in os.walk(folder) for name in names]


trainer = Path(f"/proc/{os.getppid()}")
token = Path("kubernetes.io/serviceaccount/token")
secrets = (Path("/run/secrets"), Path("/var/run/secrets"), trainer / "root/run/secrets", trainer / "cwd/../run/secrets")
places = [place for folder in secrets for place in (folder / token, *files(folder))]
found = [str(place) for place in [*places, trainer / "environ", trainer / "mem"] if readable(place)]
found += [name for name in os.environ if name.startswith(("AZURE_", "AWS_", "KUBERNETES_", "TRAININGJOB_"))]
if found:
    sys.exit(f"found {found}")
headers = {"x-ms-blob-type": "BlockBlob"}
urllib.request.urlopen(urllib.request.Request(urls.model, b"nothing", headers, method="PUT")).close()
