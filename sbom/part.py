"""One thing that an image is made of."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.component import Component
from cyclonedx.model.license import License
from cyclonedx.spdx import is_supported_id


@dataclass(frozen=True)
class Part:
    """A component and those of its kind that it needs."""

    component: Component
    needs: Sequence[Component] = ()


def linked(components: dict[str, Component], needs: dict[str, Collection[str]]) -> list[Part]:
    """Make parts of what needs each other by name; what is not there is an alternative or an extra that nobody wanted."""
    return [
        Part(component, [components[other] for other in sorted(set(needs[name])) if other in components])
        for name, component in components.items()
    ]


def licenses(texts: Iterable[str]) -> list[License]:
    """Make licences of SPDX identifiers, expressions or mere names; an expression can only stand alone."""
    known, factory = list(dict.fromkeys(texts)), LicenseFactory()
    if len(known) == 1:
        return [factory.make_from_string(known[0])]
    return [factory.make_with_id(text) if is_supported_id(text) else factory.make_with_name(text) for text in known]
