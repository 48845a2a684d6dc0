"""The command ``up``: create or repair the cluster, and install the operator."""

from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster import settings
from localcluster.azurite_install import azurite_command
from localcluster.cluster import Access, Cluster, remove_after_reboot
from localcluster.debian_packages import ensure_image_packages, ensure_node_packages
from localcluster.environment import environment, link_tools, write_environment
from localcluster.go_programs import binaries, coredns
from localcluster.images import build_images, load_images
from localcluster.kubectl import kubectl_path
from localcluster.message_queue import ensure_queue
from localcluster.operator_install import Installation, ensure_namespace
from localcluster.progress import print_line

_PROGRAMS = (binaries, coredns, azurite_command, kubectl_path)


@dataclass(frozen=True)
class Up:
    """Result of ``up``."""

    access: Access
    images: dict[str, str]
    environment_file: Path


def up(options: settings.Options) -> Up:
    """Start everything that doesn't run or work.

    Raises:
        LocalClusterError: A step failed; a second run continues from there.
    """
    ensure_node_packages()
    ensure_image_packages()
    images = _build_all()
    remove_after_reboot()
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
    """Build the programs and install Azurite, which needs no root."""
    _run_concurrently(*_PROGRAMS)


def _build_all() -> dict[str, str]:
    """Build the programs (CPU-bound) and the images (network and disk) concurrently."""
    images: dict[str, str]
    images, *_ = _run_concurrently(build_images, *_PROGRAMS)
    return images


def _run_concurrently(*tasks: Callable[[], Any]) -> list[Any]:
    """Run the tasks, and return their results. The first error is printed at once, and raised when all have ended."""
    with ThreadPoolExecutor(len(tasks)) as pool:
        futures = [pool.submit(task) for task in tasks]
        done, still_running = wait(futures, return_when=FIRST_EXCEPTION)
        failure = next((error for future in done if (error := future.exception())), None)
        if failure and still_running:
            print_line(f"error: {failure}\nWaiting for the other builds, whose results are kept. Ctrl-C stops them.")
    if failure:
        raise failure
    return [future.result() for future in futures]
