"""What a payload is made of: CycloneDX 1.6 as JSON, the same bytes for the same payload.

    write(manifest, recipe.components, payload_digest)     b'{"$schema": …, "bomFormat": "CycloneDX", …}'

No time is in it, and its serial number follows from the payload.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component as Listed
from cyclonedx.model.component import ComponentType
from cyclonedx.output.json import JsonV1Dot6
from km_protocol.kmpkg.manifest import Manifest
from packageurl import PackageURL

from plugins_registry.building.recipes import Component

_NAMES = "https://kilometers.ai/sbom/"


def write(manifest: Manifest, components: Iterable[Component], payload_digest: str) -> bytes:
    """`payload_digest` in hexadecimal digits."""
    version = str(manifest.version)
    hashes = [_hash(payload_digest)]
    kind = ComponentType.APPLICATION
    plugin = Listed(name=manifest.name, version=version, type=kind, bom_ref="plugin", hashes=hashes)
    listed = [_listed(component) for component in components]
    bom = Bom(components=listed, serial_number=uuid5(NAMESPACE_URL, _NAMES + payload_digest))
    bom.metadata = BomMetaData(component=plugin)
    bom.register_dependency(plugin, listed)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document["metadata"].pop("timestamp")
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"


def _listed(component: Component) -> Listed:
    purl = PackageURL.from_string(f"{component.purl}@{component.version}")
    hashes = [_hash(component.sha256)] if component.sha256 else []
    return Listed(name=component.name, version=component.version, purl=purl, bom_ref=purl.to_string(), hashes=hashes)


def _hash(sha256: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=sha256)
