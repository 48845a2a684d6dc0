"""``up``: from nothing, or from whatever is there, to a cluster that takes messages."""

from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster import settings
from localcluster.azurite_install import azurite_command
from localcluster.cluster import Access, Cluster, forget_earlier_boot
from localcluster.environment import environment, link_tools, write_environment
from localcluster.gobuild import binaries, coredns
from localcluster.images import build_images, load_images
from localcluster.kubectl import kubectl_path
from localcluster.operator_install import Installation, ensure_namespace
from localcluster.packages import ensure_image_packages, ensure_node_packages
from localcluster.progress import say
from localcluster.storage import ensure_queue

_PROGRAMS = (binaries, coredns, azurite_command, kubectl_path)


@dataclass(frozen=True)
class Up:
    """What is there after ``up``."""

    access: Access
    images: dict[str, str]
    environment_file: Path


def up(options: settings.Options) -> Up:
    """Bring everything up; what is there and works is left alone.

    Raises:
        LocalClusterError: a step failed; running it again goes on from there.
    """
    ensure_node_packages()
    ensure_image_packages()
    images = _build_all()
    forget_earlier_boot()
    cluster = Cluster(binaries(), coredns(), options.gpus)
    cluster.start()
    tools = link_tools(binaries())
    load_images(images)
    ensure_queue(cluster.access.storage_connection_string, settings.QUEUE)
    if options.operator:
        Installation(cluster.access, tools / "helm", images).ensure()
    else:
        ensure_namespace(cluster.access.kubeconfig)
    return Up(cluster.access, images, write_environment(environment(cluster.access, images)))


def build() -> None:
    """Make what needs no root: programs and Azurite."""
    _side_by_side(*_PROGRAMS)


def _build_all() -> dict[str, str]:
    """The programs are compiled (processors) while the images are made (mostly network and disk)."""
    images: dict[str, str]
    images, *_ = _side_by_side(build_images, *_PROGRAMS)
    return images


def _side_by_side(*tasks: Callable[[], Any]) -> list[Any]:
    """The tasks' results; the first failure is said at once, and raised when the others have ended."""
    with ThreadPoolExecutor(len(tasks)) as pool:
        futures = [pool.submit(task) for task in tasks]
        done, still_running = wait(futures, return_when=FIRST_EXCEPTION)
        failure = next((error for future in done if (error := future.exception())), None)
        if failure and still_running:
            say(f"error: {failure}\nWhat else is being built is finished first, to be there next time; Ctrl-C ends it.")
    if failure:
        raise failure
    return [future.result() for future in futures]
