"""Everything that can end a training, in one tree; each class knows the contract's reason and exit code.

Names and numbers follow docs/trainer-contract.md; the numbers are those of `sysexits.h` where one fits.
A message is one line that says what was wrong, where, and what to do. It never holds a URL's query.
"""

from typing import ClassVar

EXIT_SIGTERM = 143


class TrainerError(Exception):
    """A fault in a plugin or in this program."""

    reason: ClassVar[str] = "TrainerError"
    exit_code: int = 70


class UsageError(TrainerError):
    """The sender asked for something that does not exist or is not allowed."""

    reason = "InvalidParameters"
    exit_code = 64


class UnknownPluginError(UsageError):
    """No plugin has the wanted name."""

    reason = "UnknownPlugin"


class BrokenPluginError(UsageError):
    """A plugin of the wanted name exists, but can't be imported or is none."""

    reason = "BrokenPlugin"


class InvalidParametersError(UsageError):
    """A parameter, argument or setting is missing, unknown or out of range."""

    reason = "InvalidParameters"


class InvalidURLError(UsageError):
    """An argument is not a http(s) URL, or the file it names can't be read."""

    reason = "InvalidURL"


class AddressRefusedError(UsageError):
    """The administrator's rules for outgoing requests forbid a URL, or the address that it leads to."""

    reason = "AddressRefused"


class BadAnnotationsError(TrainerError):
    """The annotation file does not parse, or holds nothing to learn from."""

    reason = "BadAnnotations"
    exit_code = 65


class NoUsableImagesError(TrainerError):
    """Too few of the annotated images could be fetched and decoded."""

    reason = "NoUsableImages"
    exit_code = 65


class NonFiniteLossError(TrainerError):
    """The loss became infinite or not a number."""

    reason = "NonFiniteLoss"
    exit_code = 65


class AnnotationsUnreachableError(TrainerError):
    """The store refused the annotation file: 401, 403, 404 and the like."""

    reason = "AnnotationsUnreachable"
    exit_code = 66


class UploadRefusedError(TrainerError):
    """The store refused the model, or the destination is not allowed."""

    reason = "UploadRefused"
    exit_code = 73


class TemporaryFailureError(TrainerError):
    """A passing fault that outlasted the retries."""

    reason = "TemporaryFailure"
    exit_code = 75


class GPUError(TemporaryFailureError):
    """A GPU, its driver or its libraries failed; another GPU may do."""

    reason = "GPUError"


class DiskFullError(TemporaryFailureError):
    """A volume of the pod is full; another node may have more room."""

    reason = "DiskFull"


class PeerLostError(TemporaryFailureError):
    """Another process of this training is gone; the cause is told there, not here."""

    reason = "PeerLost"


class InterruptedTrainingError(TrainerError):
    """Somebody stopped the pod: no failure, the next pod goes on."""

    reason = "Interrupted"
    exit_code = EXIT_SIGTERM
