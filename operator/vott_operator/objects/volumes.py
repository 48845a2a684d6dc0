"""Volumes of the trainer pods with their mounts: work, temporary files, shared memory, URLs, checkpoints, cache, plugins."""

from vott_operator.api import constants as c
from vott_operator.api.trainingjob import TrainingJob
from vott_operator.objects.metadata import Manifest
from vott_operator.objects.url_secret import secret_volume
from vott_operator.settings.pod import PodSettings
from vott_operator.settings.trainer import TrainerSettings

WORK_DIR = "/work"
TEMP_DIR = "/tmp"  # noqa: S108 # nosec B108 # an emptyDir inside the container
SHARED_MEMORY_DIR = "/dev/shm"  # noqa: S108 # nosec B108 # likewise
CHECKPOINTS_DIR = "/checkpoints"
CACHE_DIR = "/cache"
PLUGINS_DIR = "/plugins"

MountedVolume = tuple[Manifest, Manifest]
"""A volume of the pod, and its mount in the trainer container."""


def mounted_volumes(trainingjob: TrainingJob, settings: PodSettings) -> list[MountedVolume]:
    """All volumes of the pod."""
    trainer = settings.trainer
    volumes = [
        _mounted("work", {"emptyDir": {"sizeLimit": trainer.work_volume}}, WORK_DIR),
        _mounted("tmp", {"emptyDir": {"sizeLimit": trainer.work_volume}}, TEMP_DIR),
        _mounted("shm", {"emptyDir": {"medium": "Memory", "sizeLimit": trainer.shared_memory}}, SHARED_MEMORY_DIR),
    ]
    if trainingjob.spec.url_secret_ref:
        volumes.append(_mounted("urls", {"secret": secret_volume(trainingjob, settings)}, c.URLS_DIR, read_only=True))
    return volumes + _storage(trainer)


def _storage(settings: TrainerSettings) -> list[MountedVolume]:
    """Volumes that the administrator provides."""
    checkpoints, cache, plugins = settings.checkpoints, settings.image_cache, settings.plugins
    volumes = []
    if claim := checkpoints.persistent_volume_claim:
        volumes.append(_mounted("checkpoints", _claim(claim), CHECKPOINTS_DIR))
    if claim := cache.persistent_volume_claim:
        volumes.append(_mounted("image-cache", _claim(claim), CACHE_DIR))
    if path := cache.host_path:
        # Created if missing; a training that can't write there runs without a cache.
        volumes.append(_mounted("image-cache", {"hostPath": {"path": path, "type": "DirectoryOrCreate"}}, CACHE_DIR))
    if claim := plugins.persistent_volume_claim:
        volumes.append(_mounted("plugins", _claim(claim), PLUGINS_DIR, read_only=True))
    if config_map := plugins.config_map:
        source = {"configMap": {"name": config_map, "optional": True}}
        volumes.append(_mounted("plugins", source, PLUGINS_DIR, read_only=True))
    return volumes


def _claim(name: str) -> Manifest:
    return {"persistentVolumeClaim": {"claimName": name}}


def _mounted(name: str, source: Manifest, path: str, *, read_only: bool = False) -> MountedVolume:
    mount = {"name": name, "mountPath": path} | ({"readOnly": True} if read_only else {})
    return {"name": name} | source, mount
