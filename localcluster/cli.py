"""The commands: ``up``, ``down``, ``status``, ``build``, ``images``, ``sbom``, ``env``."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from localcluster.cached import locked
from localcluster.errors import LocalClusterError, MissingPrerequisiteError
from localcluster.paths import GPUS, LOCK
from localcluster.proxies import reach_directly
from localcluster.settings import DIRECT_ADDRESSES, Options

if TYPE_CHECKING:
    from localcluster.cluster import Cluster

_INTERRUPTED = 130
_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")  # a plain user's PATH may lack them


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 for a failure or an unhealthy cluster, 2 for something missing or wrong usage."""
    chosen = _parser().parse_args(arguments)
    _prepare_environment()
    try:
        return int(chosen.command(chosen))
    except LocalClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        print(
            f"error: Python finds no module {error.name}: run `make up`, which installs what is missing;"
            " for other commands `make .venv/tools`, then `.venv/bin/python -m localcluster …`",
            file=sys.stderr,
        )
        return MissingPrerequisiteError.exit_code
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: {_sentence(error)}", file=sys.stderr)
        return LocalClusterError.exit_code
    except KeyboardInterrupt:
        print(
            "Interrupted. The same command goes on from here; `make down` removes what runs.",
            file=sys.stderr,
        )
        return _INTERRUPTED


def _prepare_environment() -> None:
    """For this process and the programs that it starts."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(dict.fromkeys([*folders, *_SYSTEM_FOLDERS]))
    reach_directly(os.environ, DIRECT_ADDRESSES)


def _sentence(error: OSError | subprocess.CalledProcessError) -> str:
    """What failed, without Python's words for it."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"{error.cmd} ended with exit code {error.returncode}"
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="localcluster", description="A real single-node Kubernetes on this machine, for demo and tests."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start or repair the cluster, and install the operator")
    up.add_argument(
        "--gpus",
        type=_gpu_count,
        default=Options.gpus,
        help="how many GPUs the node pretends to have (default: %(default)s)",
    )
    up.add_argument("--no-operator", action="store_true", help="cluster, Azurite and images only")
    up.set_defaults(command=_up)
    down = commands.add_parser("down", help="remove the cluster; caches stay")
    down.add_argument("--purge", action="store_true", help="remove the caches too")
    down.set_defaults(command=_down)
    commands.add_parser("status", help="what runs; exit code 0 only when all is well").set_defaults(command=_status)
    commands.add_parser("build", help="build the programs and install Azurite; needs no root").set_defaults(
        command=_build
    )
    commands.add_parser("images", help="build both images, and hand them to the cluster where it runs").set_defaults(
        command=_images
    )
    sbom = commands.add_parser("sbom", help="write what the images are made of, in CycloneDX")
    sbom.add_argument("folder", type=Path, help="where to")
    sbom.set_defaults(command=_sbom)
    commands.add_parser("env", help="print the variables of .local/env").set_defaults(command=_env)
    return parser


def _gpu_count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


# Imports are inside the commands: `--help` and errors about root should not wait for, or fail at, what only one command needs.


def _up(chosen: argparse.Namespace) -> int:
    _require_root()
    from localcluster.summary import summary
    from localcluster.up import up

    with locked(LOCK):
        result = up(Options(gpus=chosen.gpus, operator=not chosen.no_operator))
    print(summary(result, with_operator=not chosen.no_operator))
    return 0


def _down(chosen: argparse.Namespace) -> int:
    _require_root()
    from localcluster.down import down

    with locked(LOCK):
        down(purge=chosen.purge)
    return 0


def _status(_: argparse.Namespace) -> int:
    _require_running()
    from localcluster.status import report, text

    lines = report(_cluster())
    print(text(lines))
    return 0 if all(line.is_well for line in lines) else 1


def _build(_: argparse.Namespace) -> int:
    from localcluster.up import build

    build()
    return 0


def _images(_: argparse.Namespace) -> int:
    _require_root()
    from localcluster.images import build_images, load_images
    from localcluster.node_parts import CONTAINERD_SOCKET
    from localcluster.packages import ensure_image_packages

    with locked(LOCK):
        ensure_image_packages()
        images = build_images()
        if CONTAINERD_SOCKET.exists():
            load_images(images)
    print("\n".join(images.values()))
    return 0


def _sbom(chosen: argparse.Namespace) -> int:
    _require_root()
    from localcluster.packages import ensure_image_packages
    from localcluster.sbom import write_sboms

    ensure_image_packages()
    print("\n".join(map(str, write_sboms(chosen.folder))))
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
    ways = "run the command as root (sudo), or use a cluster of yours: set KUBECONFIG, and run the demo or `helm install` against it"
    raise MissingPrerequisiteError(
        f"A local cluster makes network bridges, mounts and control groups, which takes root: {ways}."
    )


def _require_running() -> None:
    _require_root()
    if not GPUS.exists():
        raise LocalClusterError("No local cluster runs on this machine. Start one: make up")


def _cluster() -> "Cluster":
    from localcluster.cluster import Cluster
    from localcluster.gobuild import binaries, coredns

    return Cluster(binaries(), coredns(), gpus=int(GPUS.read_text()))
