"""The reasons that may be labels: an image of your own may report any other."""

from vott_operator.api import constants as c

TRAINER_REASONS = frozenset(
    {
        "AddressRefused",
        "AnnotationsUnreachable",
        "BadAnnotations",
        "BrokenPlugin",
        "DiskFull",
        "GPUError",
        "Interrupted",
        "InvalidParameters",
        "InvalidURL",
        "NoUsableImages",
        "NonFiniteLoss",
        "PeerLost",
        "TemporaryFailure",
        "TrainerError",
        "UnknownPlugin",
        "UploadRefused",
    }
)
"""Those of the trainer (docs/trainer-contract.md)."""
KNOWN = TRAINER_REASONS | {value for name, value in vars(c).items() if name.isupper() and isinstance(value, str)}
OTHER = "Other"


def bounded_reason(reason: str | None) -> str:
    """The label for a reason: itself if it is known; empty without one."""
    return reason if reason in KNOWN else OTHER if reason else ""
