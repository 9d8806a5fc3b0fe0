"""The software bill of materials: every package that was installed where the pseudo cohort was made (CycloneDX 1.6)."""

import importlib.metadata
import platform
import uuid
from datetime import UTC, datetime

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

import pseudocohort

NAMESPACE = uuid.UUID("5a0c1d52-9d4e-5b7c-8f4e-1d1b6f3a9c11")  # of this project's bills, for uuid5


def bill_of_materials(made: str) -> str:
    """JSON in CycloneDX's form. made: day of the release (YYYY-MM-DD): the same release has the same bill."""
    packages = {}
    for found in importlib.metadata.distributions():
        if found.name:
            packages[found.name.lower().replace("_", "-")] = found
    bom = Bom(components=[_component(name, found) for name, found in sorted(packages.items())])
    bom.metadata.timestamp = datetime.fromisoformat(made).replace(tzinfo=UTC)
    bom.metadata.component = Component(
        name="pseudocohort", version=pseudocohort.__version__, type=ComponentType.APPLICATION, bom_ref="pseudocohort"
    )
    bom.metadata.properties.add(Property(name="python", value=platform.python_version()))
    names = "\n".join(f"{name}=={found.version}" for name, found in sorted(packages.items()))
    bom.serial_number = uuid.uuid5(NAMESPACE, made + names)
    bom.register_dependency(bom.metadata.component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _component(name: str, found: importlib.metadata.Distribution) -> Component:
    licence = found.metadata.get("License-Expression") or found.metadata.get("License") or ""
    licence = licence.splitlines()[0].strip() if licence.strip() else ""
    return Component(
        name=name,
        version=found.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{name}@{found.version}",
        purl=PackageURL("pypi", name=name, version=found.version),
        licenses=[DisjunctiveLicense(name=licence)] if 0 < len(licence) <= 100 else [],
    )
