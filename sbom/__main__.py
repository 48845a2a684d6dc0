"""`python -m sbom --project pyproject.toml --venv /opt/venv --lock requirements.txt --out bom.cdx.json`."""

import argparse
import tomllib
from pathlib import Path

from sbom.debian_packages import debian_packages
from sbom.document import document
from sbom.python_packages import interpreter, python_packages
from sbom.weights import weights


def main() -> None:
    """Inspect the image that this runs in, and write its bill of materials."""
    arguments = _parser().parse_args()
    project = tomllib.loads(arguments.project.read_text())["project"]
    components = [
        *python_packages(arguments.venv, arguments.lock, own=project["name"]),
        *interpreter(arguments.venv),
        *debian_packages(Path("/")),
        *weights(arguments.weights),
    ]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(document(project, components) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sbom", description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="pyproject.toml of the image's project")
    parser.add_argument("--venv", type=Path, required=True, help="virtual environment in the image")
    parser.add_argument(
        "--lock", type=Path, required=True, help="requirements file with hashes that it was installed from"
    )
    parser.add_argument("--weights", type=Path, default=Path("/opt/weights"), help="folder of baked weights, if any")
    parser.add_argument("--out", type=Path, required=True, help="output file")
    return parser


main()
