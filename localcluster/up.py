"""``up``: from nothing, or from whatever is there, to a cluster that takes messages."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from localcluster import settings
from localcluster.azurite_install import azurite_command
from localcluster.cluster import Access, Cluster, forget_earlier_boot
from localcluster.environment import environment, link_tools, write_environment
from localcluster.gobuild import binaries
from localcluster.images import build_images, load_images
from localcluster.kubectl import kubectl_path
from localcluster.operator_install import Installation, ensure_namespace
from localcluster.packages import ensure_image_packages, ensure_node_packages
from localcluster.storage import ensure_queue


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
    cluster = Cluster(binaries(), options.gpus)
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
    with ThreadPoolExecutor() as pool:
        for future in [pool.submit(task) for task in (binaries, azurite_command, kubectl_path)]:
            future.result()


def _build_all() -> dict[str, str]:
    """The programs are compiled (processors) while the images are made (mostly network and disk)."""
    with ThreadPoolExecutor() as pool:
        images, programs = pool.submit(build_images), pool.submit(build)
        programs.result()
        return images.result()
