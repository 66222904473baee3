"""Where a payload came from: SLSA provenance v1 (https://slsa.dev/spec/v1.0/provenance), as a statement.

    Provenance.of(source_sha256="…", platform="linux-amd64", builder_id="https://…/builders/bubblewrap/v1", …)

The one resolved dependency named `source` is the source that was reviewed, and the by-product `km/sbom.cdx.json` is the
bill of materials beside the statement: that is what `verify` compares. The rest is for people and other tools.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec

from km_protocol.kmpkg.package import SBOM
from km_protocol.kmpkg.statements import Moment, Platform, Sha256

SOURCE = "source"
BUILD_TYPE = "https://kilometers.ai/build/v1"
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Digests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: Sha256


class Resource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file by its digest; `uri` where it can be fetched."""

    name: _Text
    digest: Digests
    uri: str = ""


class BuildDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    build_type: _Text
    external_parameters: dict[str, Any]
    internal_parameters: dict[str, Any]
    resolved_dependencies: Annotated[list[Resource], msgspec.Meta(min_length=1, max_length=1000)]


class Builder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: _Text
    version: dict[str, str] = {}


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    invocation_id: _Text
    started_on: Moment
    finished_on: Moment


class RunDetails(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    builder: Builder
    metadata: Metadata
    byproducts: Annotated[list[Resource], msgspec.Meta(max_length=16)]


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    TYPE: ClassVar[str] = "https://slsa.dev/provenance/v1"

    build_definition: BuildDefinition
    run_details: RunDetails

    @classmethod
    def of(  # noqa: PLR0913 - the facts of one build, each by its name
        cls,
        *,
        source_sha256: str,
        platform: Platform,
        builder_id: str,
        invocation_id: str,
        started_on: str,
        finished_on: str,
        sbom_sha256: str = "",
        parameters: dict[str, Any] | None = None,
        environment: dict[str, Any] | None = None,
        materials: tuple[Resource, ...] = (),
        tools: dict[str, str] | None = None,
    ) -> Provenance:
        """`parameters`: what the author chose; `environment`: what the builder did; `tools`: name to version."""
        source = Resource(SOURCE, Digests(source_sha256))
        external = {**(parameters or {}), "platform": platform}
        definition = BuildDefinition(BUILD_TYPE, external, environment or {}, [source, *materials])
        byproducts = [Resource(SBOM, Digests(sbom_sha256))] if sbom_sha256 else []
        metadata = Metadata(invocation_id, started_on, finished_on)
        return cls(definition, RunDetails(Builder(builder_id, tools or {}), metadata, byproducts))

    def source_sha256(self) -> str:
        """Of the source it was built from; empty when that is not told once."""
        return _only(SOURCE, self.build_definition.resolved_dependencies)

    def sbom_sha256(self) -> str:
        """Of the bill of materials; empty when there is none."""
        return _only(SBOM, self.run_details.byproducts)


def _only(name: str, resources: list[Resource]) -> str:
    found = [resource.digest.sha256 for resource in resources if resource.name == name]
    return found[0] if len(found) == 1 else ""
