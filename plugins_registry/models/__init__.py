"""The rows of this room, by topic; every other module imports them from here."""

from plugins_registry.models.builds import BuildState, CustomerBuild, PayloadBuild
from plugins_registry.models.plugins import Block, Notice, Plugin, Revision, Source, StateChange, Version
from plugins_registry.models.repositories import (
    MetadataFile,
    ReleaseDraft,
    ReleaseSignature,
    RepositoryState,
    SigningRole,
)
from plugins_registry.models.reviews import (
    Appeal,
    Approval,
    CheckRun,
    Finding,
    Review,
    ReviewerKey,
    Severity,
    Waiver,
)

__all__ = [
    "Appeal",
    "Approval",
    "Block",
    "BuildState",
    "CheckRun",
    "CustomerBuild",
    "Finding",
    "MetadataFile",
    "Notice",
    "PayloadBuild",
    "Plugin",
    "ReleaseDraft",
    "ReleaseSignature",
    "RepositoryState",
    "Review",
    "ReviewerKey",
    "Revision",
    "Severity",
    "SigningRole",
    "Source",
    "StateChange",
    "Version",
    "Waiver",
]
