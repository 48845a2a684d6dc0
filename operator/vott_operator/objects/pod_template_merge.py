"""Merge a partial PodTemplateSpec under the operator's own.

Maps are merged deeply. Lists are merged by their patchMergeKey, as in Kubernetes' strategic merge patch
(https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/). Tolerations and preferred
nodes are added, and every other list is replaced. A contradiction is an error: a setting that is silently ignored would show up only in the training.
"""

from collections.abc import Mapping
from typing import Any

from vott_operator.errors import PodTemplateError
from vott_operator.objects.metadata import Manifest

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
DEEPLY_MERGED = ("containers", "initContainers")
"""Lists with items that are merged. Items of other lists are atomic: two halves of a volume are no volume."""
UNIONS = ("tolerations", "preferredDuringSchedulingIgnoredDuringExecution")
ROOT = "spec.podTemplate"
"""First part of every path in an error."""


class Merger:
    """Merges templates under the operator's own.

    Args:
        remedies: path below the template's root -> what to do instead of setting it; the longest match applies.
        defaults: paths that the template may override.
    """

    def __init__(self, remedies: Mapping[str, str], defaults: tuple[str, ...]) -> None:
        self._remedies = remedies
        self._defaults = defaults

    def merge(self, own: Manifest, template: Any) -> Manifest:
        """The operator's template `own` plus what `template` adds. Raises PodTemplateError, which names the path."""
        return self._maps(own, template, "")

    def _maps(self, own: Manifest, template: Any, path: str) -> Manifest:
        if not isinstance(template, dict):
            raise self._error(path, f"must be an object, not {_type_name(template)}")
        # As in the Kubernetes API, null means "not set".
        set_fields = {name: value for name, value in template.items() if value is not None}
        merged = {
            name: self._values(own[name], set_fields[name], _below(path, name)) for name in own if name in set_fields
        }
        return {**own, **set_fields, **merged}

    def _values(self, own: Any, template: Any, path: str) -> Any:
        name = path.rpartition(".")[2]
        if isinstance(own, dict):
            return self._maps(own, template, path)
        if name in MERGE_KEYS:
            return self._lists(own, template, path, name)
        if name in UNIONS:
            return [*own, *(item for item in self._items(template, path) if item not in own)]
        return own if own == template else self._override(own, template, path)

    def _lists(self, own: list[Any], template: Any, path: str, name: str) -> list[Any]:
        added = self._by_key(template, path, MERGE_KEYS[name])
        merged = []
        for item in own:
            key = item[MERGE_KEYS[name]]
            merged.append(self._item(item, added.pop(key), f"{path}[{key}]", name) if key in added else item)
        return [*merged, *added.values()]

    def _item(self, own: Manifest, template: Manifest, path: str, name: str) -> Manifest:
        if name in DEEPLY_MERGED:
            return self._maps(own, template, path)
        return own if own == template else self._override(own, template, path)

    def _by_key(self, template: Any, path: str, key: str) -> dict[Any, Manifest]:
        items: dict[Any, Manifest] = {}
        for number, item in enumerate(self._items(template, path)):
            item_path = f"{path}[{number}]"
            if not isinstance(item, dict):
                raise self._error(item_path, f"must be an object, not {_type_name(item)}")
            value = item.get(key)
            if not isinstance(value, str | int):
                raise self._error(item_path, f"has no {key}, by which this list is merged; add one")
            if value in items:
                raise self._error(item_path, f"has the same {key} {value!r} as another item; remove one of them")
            items[value] = item
        return items

    def _items(self, template: Any, path: str) -> list[Any]:
        if not isinstance(template, list):
            raise self._error(path, f"must be a list, not {_type_name(template)}")
        return template

    def _override(self, own: Any, template: Any, path: str) -> Any:
        """The template's value, if it may override the operator's; else an error with the remedy."""
        if any(_is_within(path, default) for default in self._defaults):
            return template
        matches = [remedy_path for remedy_path in self._remedies if _is_within(path, remedy_path)]
        remedy = self._remedies[max(matches, key=len)] if matches else "leave it out"
        value = "" if isinstance(own, dict | list) else f" to {own!r}"
        raise self._error(path, f"is set by the operator{value}; {remedy}")

    def _error(self, path: str, text: str) -> PodTemplateError:
        return PodTemplateError(f"{ROOT}{path} {text}.")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if "." not in name and "/" not in name else f"{path}[{name}]"


def _is_within(path: str, ancestor: str) -> bool:
    return path == ancestor or path.startswith((f"{ancestor}.", f"{ancestor}["))


def _type_name(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), "null")
