"""Errors that end a training, each with its reason (docs/trainer-contract.md) and exit code.

A message is one line: cause, place and remedy. It never holds a URL's query.
"""

from typing import ClassVar

from vott_guard import exit_codes
from vott_guard.redaction import redact


class TrainerError(Exception):
    """An error in a plugin or in this program."""

    reason: ClassVar[str] = "TrainerError"
    exit_code: int = exit_codes.SOFTWARE


class UsageError(TrainerError):
    """The message asks for something that does not exist or is not allowed."""

    reason = "InvalidParameters"
    exit_code = exit_codes.USAGE


class UnknownPluginError(UsageError):
    """There is no plugin of that name."""

    reason = "UnknownPlugin"


class BrokenPluginError(UsageError):
    """The plugin can't be imported, or is not a plugin."""

    reason = "BrokenPlugin"


class InvalidParametersError(UsageError):
    """A parameter, argument or setting is missing, unknown or out of range."""

    reason = "InvalidParameters"


class InvalidURLError(UsageError):
    """An argument is not a URL of the kind expected, or the file with the URL can't be read."""

    reason = "InvalidURL"


class AddressRefusedError(UsageError):
    """The administrator's rules for outgoing requests forbid a URL or its address."""

    reason = "AddressRefused"


class BadAnnotationsError(TrainerError):
    """The annotation file does not parse, or holds nothing to train on."""

    reason = "BadAnnotations"
    exit_code = exit_codes.DATA


class NoUsableImagesError(TrainerError):
    """Too few of the annotated images could be fetched and decoded."""

    reason = "NoUsableImages"
    exit_code = exit_codes.DATA


class NonFiniteLossError(TrainerError):
    """The loss became infinite or NaN."""

    reason = "NonFiniteLoss"
    exit_code = exit_codes.DATA


class AnnotationsUnreachableError(TrainerError):
    """The store refused the annotation file, for example with 401, 403 or 404."""

    reason = "AnnotationsUnreachable"
    exit_code = exit_codes.NO_INPUT


class UploadRefusedError(TrainerError):
    """The store refused the model, or the destination is not allowed."""

    reason = "UploadRefused"
    exit_code = exit_codes.CANNOT_CREATE


class TemporaryFailureError(TrainerError):
    """A temporary failure that outlasted the retries."""

    reason = "TemporaryFailure"
    exit_code = exit_codes.TEMPORARY_FAILURE


class GPUError(TemporaryFailureError):
    """A GPU, its driver or its libraries failed; another GPU may work."""

    reason = "GPUError"


class DiskFullError(TemporaryFailureError):
    """A volume of the pod is full; another node may have more space."""

    reason = "DiskFull"


class PeerLostError(TemporaryFailureError):
    """Another process of this training has ended; that process reports the cause."""

    reason = "PeerLost"


class InterruptedTrainingError(TrainerError):
    """The pod was stopped: not a failure, the next pod resumes."""

    reason = "Interrupted"
    exit_code = exit_codes.SIGTERM


def describe(error: Exception) -> str:
    """Describe an error on one line for the labeller: without traceback and URLs' queries."""
    text = str(error) if isinstance(error, TrainerError) else f"{type(error).__name__}: {error}"
    return redact(" ".join(text.split()))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its class name: redacted, without a full stop, at most 300 characters."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return redact(line).rstrip(".")[:300]  # in this order: a part of a credential is not recognized
