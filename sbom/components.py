"""Components with their dependencies and licences."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.component import Component
from cyclonedx.model.license import License
from cyclonedx.spdx import is_supported_id


@dataclass(frozen=True)
class LinkedComponent:
    """A component and its dependencies of the same kind."""

    component: Component
    dependencies: Sequence[Component] = ()


def link(components: dict[str, Component], dependencies: dict[str, Collection[str]]) -> list[LinkedComponent]:
    """Link components by name. Missing dependencies are alternatives or extras that are not installed."""
    return [
        LinkedComponent(
            component, [components[other] for other in sorted(set(dependencies[name])) if other in components]
        )
        for name, component in components.items()
    ]


def licenses(texts: Iterable[str]) -> list[License]:
    """Licences from SPDX identifiers, expressions or other names; an expression must be the only licence."""
    unique, factory = list(dict.fromkeys(texts)), LicenseFactory()
    if len(unique) == 1:
        return [factory.make_from_string(unique[0])]
    return [factory.make_with_id(text) if is_supported_id(text) else factory.make_with_name(text) for text in unique]
