"""What can be wrong with how a host names a plugin, each cause with its own stable code."""

from __future__ import annotations

from core.errors import ApiError, Forbidden, NotFound, TooManyRequests, Unavailable


class InvalidPluginName(ApiError):
    status, code = 400, "invalid_plugin_name"


class InvalidPluginVersion(ApiError):
    status, code = 400, "invalid_plugin_version"


class InvalidPluginSignature(ApiError):
    status, code = 400, "invalid_plugin_signature"


class CustomerMismatch(Forbidden):
    """The host believes to run for another customer than the one whose key it sent."""

    code = "customer_mismatch"


class NotYetPublished(Unavailable):
    """A customer's director that nobody asked for before: it is being signed, which takes a worker a moment."""

    code = "not_yet_published"


class TransitionRefused(ApiError):
    """What was asked is not possible in the revision's state."""

    status, code = 409, "transition_refused"


class InvalidSource(ApiError):
    """What was sent is no source archive. The message begins with the rule it breaks."""

    status, code = 400, "invalid_source"


class InvalidManifest(ApiError):
    """The source's manifest; the message lists every problem with its place."""

    status, code = 400, "invalid_manifest"


class UploadTruncated(ApiError):
    """Fewer bytes arrived than were announced."""

    status, code = 400, "upload_truncated"


class InvalidVisibility(ApiError):
    status, code = 400, "invalid_visibility"


class NameReserved(Forbidden):
    """A name that only whoever runs the service may use."""

    code = "name_reserved"


class NameTaken(ApiError):
    """Another organisation's plugin is called so."""

    status, code = 409, "name_taken"


class VersionDecided(ApiError):
    """The version's source passed its reviews; what changes needs a new version."""

    status, code = 409, "version_decided"


class TooManySubmissions(TooManyRequests):
    """An organisation has more revisions under way than people can look at."""

    code = "too_many_submissions"


class PluginNotFound(NotFound):
    """There is none, it is another organisation's own, or it was never published: the answer is the same."""

    code = "plugin_not_found"


class SubmissionNotFound(NotFound):
    """There is none, or it is another organisation's: the answer is the same."""

    code = "submission_not_found"


class InvalidAppeal(ApiError):
    status, code = 400, "invalid_appeal"


class NotAReviewer(Forbidden):
    """A person who may not decide this: without the permission, or with an interest in it."""

    code = "not_a_reviewer"


class InvalidDecision(ApiError):
    status, code = 400, "invalid_decision"


class InvalidApproval(ApiError):
    """A signed statement that does not say what it must, or is not signed by a reviewer."""

    status, code = 400, "invalid_approval"
