"""The commands: ``up``, ``down``, ``status``, ``build``, ``images``, ``sbom``, ``env``."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from localcluster.errors import LocalClusterError, MissingPrerequisiteError
from localcluster.file_lock import locked
from localcluster.paths import GPUS, LOCK
from localcluster.proxies import bypass_proxies
from localcluster.settings import DIRECT_ADDRESSES, Options

if TYPE_CHECKING:
    from localcluster.cluster import Cluster

_INTERRUPTED = 130
_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")  # may be missing from a normal user's PATH


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 success, 1 failure or unhealthy cluster, 2 missing prerequisite or wrong usage."""
    parsed = _parser().parse_args(arguments)
    _prepare_environment()
    try:
        return int(parsed.command(parsed))
    except LocalClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        print(
            f"error: no module {error.name}: run `make up`, which installs it; for other commands run `make .venv/tools`,"
            " then `.venv/bin/python -m localcluster …`",
            file=sys.stderr,
        )
        return MissingPrerequisiteError.exit_code
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: {_sentence(error)}", file=sys.stderr)
        return LocalClusterError.exit_code
    except KeyboardInterrupt:
        print(
            "Interrupted. Run the same command to continue, or `make down` to remove the cluster.",
            file=sys.stderr,
        )
        return _INTERRUPTED


def _prepare_environment() -> None:
    """Set PATH and NO_PROXY for this process and its children."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(dict.fromkeys([*folders, *_SYSTEM_FOLDERS]))
    bypass_proxies(os.environ, DIRECT_ADDRESSES)


def _sentence(error: OSError | subprocess.CalledProcessError) -> str:
    """The error without the name of Python's exception."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"{error.cmd} ended with exit code {error.returncode}"
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="localcluster", description="A single-node Kubernetes cluster on this machine, for the demo and tests."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start or repair the cluster, and install the operator")
    up.add_argument(
        "--gpus",
        type=_gpu_count,
        default=Options.gpus,
        help="number of simulated GPUs (default: %(default)s)",
    )
    up.add_argument(
        "--no-operator", action="store_true", help="start only the cluster and Azurite, and build the images"
    )
    up.set_defaults(command=_up)
    down = commands.add_parser("down", help="remove the cluster but not the caches")
    down.add_argument("--purge", action="store_true", help="remove the caches too")
    down.set_defaults(command=_down)
    commands.add_parser("status", help="show the components; exit code 0 only if all are healthy").set_defaults(
        command=_status
    )
    commands.add_parser("build", help="build the programs and install Azurite; needs no root").set_defaults(
        command=_build
    )
    commands.add_parser("images", help="build both images, and load them into the cluster if it runs").set_defaults(
        command=_images
    )
    sbom = commands.add_parser("sbom", help="write a CycloneDX bill of materials of each image")
    sbom.add_argument("folder", type=Path, help="folder to write to")
    sbom.set_defaults(command=_sbom)
    commands.add_parser("env", help="print the variables of .local/env").set_defaults(command=_env)
    return parser


def _gpu_count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


# Each command imports what it needs, so that `--help` and the check for root neither wait for nor fail on other modules.


def _up(parsed: argparse.Namespace) -> int:
    _require_root()
    from localcluster.summary import summary
    from localcluster.up import up

    with locked(LOCK):
        result = up(Options(gpus=parsed.gpus, operator=not parsed.no_operator))
    print(summary(result, with_operator=not parsed.no_operator))
    return 0


def _down(parsed: argparse.Namespace) -> int:
    _require_root()
    from localcluster.down import down

    with locked(LOCK):
        down(purge=parsed.purge)
    return 0


def _status(_: argparse.Namespace) -> int:
    _require_running()
    from localcluster.status import report, table

    lines = report(_cluster())
    print(table(lines))
    return 0 if all(line.is_healthy for line in lines) else 1


def _build(_: argparse.Namespace) -> int:
    from localcluster.up import build

    build()
    return 0


def _images(_: argparse.Namespace) -> int:
    _require_root()
    from localcluster.debian_packages import ensure_image_packages
    from localcluster.images import build_images, load_images
    from localcluster.node_programs import CONTAINERD_SOCKET

    with locked(LOCK):
        ensure_image_packages()
        images = build_images()
        if CONTAINERD_SOCKET.exists():
            load_images(images)
    print("\n".join(images.values()))
    return 0


def _sbom(parsed: argparse.Namespace) -> int:
    _require_root()
    from localcluster.debian_packages import ensure_image_packages
    from localcluster.sbom import write_sboms

    ensure_image_packages()
    print("\n".join(map(str, write_sboms(parsed.folder))))
    return 0


def _env(_: argparse.Namespace) -> int:
    _require_running()
    from localcluster.environment import environment, environment_text
    from localcluster.images import image_references

    print(environment_text(environment(_cluster().access, image_references())), end="")
    return 0


def _require_root() -> None:
    if os.geteuid() == 0:
        return
    raise MissingPrerequisiteError(
        "The local cluster needs root for network bridges, mounts and cgroups. Run the command with sudo, or use your own"
        " cluster: set KUBECONFIG, and run the demo or `helm install` against it."
    )


def _require_running() -> None:
    _require_root()
    if not GPUS.exists():
        raise LocalClusterError("No local cluster runs on this machine. Start one with `make up`.")


def _cluster() -> "Cluster":
    from localcluster.cluster import Cluster
    from localcluster.go_programs import binaries, coredns

    return Cluster(binaries(), coredns(), gpus=int(GPUS.read_text()))
