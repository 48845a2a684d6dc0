"""Write the CycloneDX document (https://cyclonedx.org/docs/1.6/json/)."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from cyclonedx.contrib.this.builders import this_component
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6

from sbom.components import LinkedComponent, licenses


def document(project: Mapping[str, Any], components: Sequence[LinkedComponent]) -> str:
    """The document of an image, for a project given as the [project] table of its pyproject.toml.

    The image depends on every component on which no other component depends.
    """
    image = Component(
        name=project["name"], version=project["version"], type=ComponentType.CONTAINER, bom_ref=project["name"],
        description=project.get("description"), licenses=licenses([project["license"]] if "license" in project else []),
    )  # fmt: skip
    bom = Bom(components=[linked.component for linked in components], serial_number=uuid.uuid4())
    bom.metadata.component = image
    bom.metadata.tools.components.add(this_component())
    dependencies = {component.bom_ref.value for linked in components for component in linked.dependencies}
    roots = [linked.component for linked in components if linked.component.bom_ref.value not in dependencies]
    bom.register_dependency(image, roots)
    for linked in components:
        bom.register_dependency(linked.component, linked.dependencies)
    return JsonV1Dot6(bom).output_as_string(indent=1)
