"""What the administrator's places bring into a pod: volumes with their mounts, and the environment that names them. Pure."""

from typing import Any

from vott_operator.settings.trainer import TrainerSettings

Manifest = dict[str, Any]
CHECKPOINTS_DIR = "/checkpoints"
CACHE_DIR = "/cache"
PLUGINS_DIR = "/plugins"
WORKLOAD_IDENTITY_LABEL = "azure.workload.identity/use"
"""By it AKS gives a pod its identity (https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html)."""
CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
AWS_KEY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
AWS_OPTIONS = ("AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL")


def labels(settings: TrainerSettings) -> dict[str, str]:
    """Labels of the pods."""
    return {WORKLOAD_IDENTITY_LABEL: "true"} if settings.workload_identity.client_id else {}


def environment(settings: TrainerSettings) -> list[Manifest]:
    """Environment of the trainer container."""
    return _plain(_named_places(settings)) + _from_secret(settings)


def volumes(settings: TrainerSettings) -> list[tuple[Manifest, Manifest]]:
    """Each volume with its mount."""
    checkpoints, cache, plugins = settings.checkpoints, settings.image_cache, settings.plugins
    found = []
    if claim := checkpoints.persistent_volume_claim:
        found.append(_volume("checkpoints", _claim(claim), CHECKPOINTS_DIR))
    if claim := cache.persistent_volume_claim:
        found.append(_volume("image-cache", _claim(claim), CACHE_DIR))
    if path := cache.host_path:
        # Made where it is missing: a training that can't write there goes on without a cache.
        found.append(_volume("image-cache", {"hostPath": {"path": path, "type": "DirectoryOrCreate"}}, CACHE_DIR))
    if claim := plugins.persistent_volume_claim:
        found.append(_volume("plugins", _claim(claim), PLUGINS_DIR, read_only=True))
    if config_map := plugins.config_map:
        found.append(
            _volume("plugins", {"configMap": {"name": config_map, "optional": True}}, PLUGINS_DIR, read_only=True)
        )
    return found


def _named_places(settings: TrainerSettings) -> dict[str, str]:
    checkpoints, cache, plugins = settings.checkpoints, settings.image_cache, settings.plugins
    found = {"VOTT_CHECKPOINT_SECONDS": str(checkpoints.every_seconds)}
    if place := checkpoints.url or (checkpoints.persistent_volume_claim and CHECKPOINTS_DIR):
        found["VOTT_CHECKPOINTS"] = place
    if cache.persistent_volume_claim or cache.host_path:
        found |= {"VOTT_IMAGE_CACHE": CACHE_DIR, "VOTT_IMAGE_CACHE_BYTES": str(cache.size_bytes)}
    if plugins.persistent_volume_claim or plugins.config_map:
        found["VOTT_PLUGINS"] = PLUGINS_DIR
    if containers := settings.model_store.containers:
        found["VOTT_MODEL_CONTAINERS"] = ",".join(containers)
    if buckets := settings.model_store.buckets:
        found["VOTT_MODEL_BUCKETS"] = ",".join(buckets)
    return found


def _from_secret(settings: TrainerSettings) -> list[Manifest]:
    """The own account's variables. One that is needed and missing keeps the pod waiting, with a sentence that names it."""
    store, checkpoints = settings.model_store, settings.checkpoints.url
    if not store.secret_name:
        return []
    variables = {}
    if store.containers or checkpoints.startswith("http"):
        variables[CONNECTION_STRING] = bool(store.named_containers)
    if store.buckets or checkpoints.startswith("s3:"):
        variables |= dict.fromkeys(AWS_KEY, True) | dict.fromkeys(AWS_OPTIONS, False)
    return [_secret_variable(store.secret_name, name, needed) for name, needed in variables.items()]


def _secret_variable(secret: str, name: str, needed: bool) -> Manifest:
    reference = {"name": secret, "key": name} | ({} if needed else {"optional": True})
    return {"name": name, "valueFrom": {"secretKeyRef": reference}}


def _claim(name: str) -> Manifest:
    return {"persistentVolumeClaim": {"claimName": name}}


def _volume(name: str, source: Manifest, path: str, *, read_only: bool = False) -> tuple[Manifest, Manifest]:
    mount = {"name": name, "mountPath": path} | ({"readOnly": True} if read_only else {})
    return {"name": name} | source, mount


def _plain(variables: dict[str, str]) -> list[Manifest]:
    return [{"name": name, "value": value} for name, value in variables.items()]
