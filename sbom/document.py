"""The CycloneDX document (https://cyclonedx.org/docs/1.6/json/)."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from cyclonedx.contrib.this.builders import this_component
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6

from sbom.part import Part, licenses


def document(project: Mapping[str, Any], parts: Sequence[Part]) -> str:
    """Return the document of the image of a project, given as its pyproject.toml's [project]. What nothing needs, the image does."""
    image = Component(
        name=project["name"], version=project["version"], type=ComponentType.CONTAINER, bom_ref=project["name"],
        description=project.get("description"), licenses=licenses([project["license"]] if "license" in project else []),
    )  # fmt: skip
    bom = Bom(components=[part.component for part in parts], serial_number=uuid.uuid4())
    bom.metadata.component = image
    bom.metadata.tools.components.add(this_component())
    needed = {need.bom_ref.value for part in parts for need in part.needs}
    bom.register_dependency(image, [part.component for part in parts if part.component.bom_ref.value not in needed])
    for part in parts:
        bom.register_dependency(part.component, part.needs)
    return JsonV1Dot6(bom).output_as_string(indent=1)
