"""The command ``down``: remove the cluster."""

import shutil

from localcluster.cleanup import remove_everything
from localcluster.environment import FILE
from localcluster.mounts import unmount_below
from localcluster.paths import cache_folder
from localcluster.progress import step


def down(*, purge: bool) -> None:
    """Remove the cluster, and with ``purge`` the caches too."""
    with step("Remove the cluster"):
        unmount_below(cache_folder() / "buildah")
        remove_everything()
        FILE.unlink(missing_ok=True)
    if purge:
        with step(f"Remove the caches in {cache_folder()}"):
            shutil.rmtree(cache_folder())
