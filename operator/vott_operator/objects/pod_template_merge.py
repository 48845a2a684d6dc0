"""Merges a partial PodTemplateSpec under the operator's own. Pure.

Maps are merged deeply, and lists by the key that Kubernetes' strategic merge patch has for them
(https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/), tolerations as a union, every
other list as a whole. Who contradicts the operator is told so: a setting that is quietly lost would be found out by a training.
"""

from collections.abc import Mapping
from typing import Any

from vott_operator.errors import PodTemplateError

Manifest = dict[str, Any]

# `patchMergeKey` of the lists in a pod template (https://github.com/kubernetes/api/blob/master/core/v1/types.go).
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
DEEP = ("containers", "initContainers")
"""Their items are merged. The others' are one thing each: half of a volume and half of another are no volume."""
UNIONS = ("tolerations",)
ROOT = "spec.podTemplate"
"""How an error's text begins to name a path."""


class Merger:
    """Merges templates under the operator's own.

    Args:
        remedies: path below the template's root -> what to do in place of setting that; the longest that fits is told.
        defaults: paths that the operator sets as a mere default, which gives way to the template.
    """

    def __init__(self, remedies: Mapping[str, str], defaults: tuple[str, ...]) -> None:
        self._remedies = remedies
        self._defaults = defaults

    def merge(self, own: Manifest, template: Any) -> Manifest:
        """The operator's own template, and what `template` adds. Raises PodTemplateError, which names the path."""
        return self._maps(own, template, "")

    def _maps(self, own: Manifest, template: Any, path: str) -> Manifest:
        if not isinstance(template, dict):
            raise self._error(path, f"must be an object, not {_kind(template)}")
        # Kubernetes takes null for "not set".
        given = {name: value for name, value in template.items() if value is not None}
        both = {name: self._values(own[name], given[name], _below(path, name)) for name in own if name in given}
        return {**own, **given, **both}

    def _values(self, own: Any, template: Any, path: str) -> Any:
        name = path.rpartition(".")[2]
        if isinstance(own, dict):
            return self._maps(own, template, path)
        if name in MERGE_KEYS:
            return self._lists(own, template, path, name)
        if name in UNIONS:
            return [*own, *(item for item in self._items(template, path) if item not in own)]
        return own if own == template else self._other(own, template, path)

    def _lists(self, own: list[Any], template: Any, path: str, name: str) -> list[Any]:
        given = self._keyed(template, path, MERGE_KEYS[name])
        merged = []
        for item in own:
            key = item[MERGE_KEYS[name]]
            merged.append(self._item(item, given.pop(key), f"{path}[{key}]", name) if key in given else item)
        return [*merged, *given.values()]

    def _item(self, own: Manifest, template: Manifest, path: str, name: str) -> Manifest:
        if name in DEEP:
            return self._maps(own, template, path)
        return own if own == template else self._other(own, template, path)

    def _keyed(self, template: Any, path: str, key: str) -> dict[Any, Manifest]:
        items: dict[Any, Manifest] = {}
        for number, item in enumerate(self._items(template, path)):
            place = f"{path}[{number}]"
            if not isinstance(item, dict):
                raise self._error(place, f"must be an object, not {_kind(item)}")
            value = item.get(key)
            if not isinstance(value, str | int):
                raise self._error(place, f"has no {key}, by which this list is merged; give it one")
            if value in items:
                raise self._error(place, f"has the {key} {value!r} of another item; remove one of them")
            items[value] = item
        return items

    def _items(self, template: Any, path: str) -> list[Any]:
        if not isinstance(template, list):
            raise self._error(path, f"must be a list, not {_kind(template)}")
        return template

    def _other(self, own: Any, template: Any, path: str) -> Any:
        """The template sets this to another value than the operator."""
        if any(_within(path, default) for default in self._defaults):
            return template
        fitting = [at for at in self._remedies if _within(path, at)]
        remedy = self._remedies[max(fitting, key=len)] if fitting else "leave it out"
        value = "" if isinstance(own, dict | list) else f" to {own!r}"
        raise self._error(path, f"is set by the operator{value}; {remedy}")

    def _error(self, path: str, text: str) -> PodTemplateError:
        return PodTemplateError(f"{ROOT}{path} {text}.")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if "." not in name and "/" not in name else f"{path}[{name}]"


def _within(path: str, at: str) -> bool:
    return path == at or path.startswith((f"{at}.", f"{at}["))


def _kind(value: Any) -> str:
    """What a value is, in JSON's words."""
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return kinds.get(type(value), "null")
