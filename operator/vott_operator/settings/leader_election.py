"""Settings of the leader election."""

from pydantic import Field

from vott_messaging.settings.section import Section


class LeaderElectionSettings(Section):
    """Which of several operators works, and how soon another takes over."""

    enabled: bool = Field(True, description="Work only while holding a Lease, so that several operators may run.")
    lease_name: str = Field("vott-train", description="Name of the Lease in the operator's namespace.")
    lease_duration_seconds: int = Field(
        15, description="How long after the last renewal another operator takes over.", ge=5, le=60
    )
