"""`python -m sbom --project pyproject.toml --venv /opt/venv --lock requirements.txt --out bom.cdx.json`."""

import argparse
import tomllib
from pathlib import Path

from sbom.debian_packages import debian_packages
from sbom.document import document
from sbom.python_packages import interpreter, python_packages
from sbom.weights import weights


def main() -> None:
    """Look at the image that this runs in, and write its document."""
    given = _parser().parse_args()
    project = tomllib.loads(given.project.read_text())["project"]
    parts = [
        *python_packages(given.venv, given.lock, own=project["name"]),
        *interpreter(given.venv),
        *debian_packages(Path("/")),
        *weights(given.weights),
    ]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(document(project, parts) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sbom", description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="the pyproject.toml of what the image is for")
    parser.add_argument("--venv", type=Path, required=True, help="the virtual environment in the image")
    parser.add_argument("--lock", type=Path, required=True, help="what it was installed from, with hashes")
    parser.add_argument(
        "--weights", type=Path, default=Path("/opt/weights"), help="the folder of baked weights, if any"
    )
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    return parser


main()
