"""The address that a program listens on."""

from vott_messaging.errors import SettingsError


def parse_address(option: str, text: str) -> tuple[str, int]:
    """Parse ADDRESS:PORT, or :PORT for all addresses. Raises SettingsError."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or not 0 < int(port) < 65536:
        raise SettingsError(
            f"{option} is {text!r}; use ADDRESS:PORT, such as 127.0.0.1:8080, or :8080 for all addresses"
        )
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 # nosec B104 # the documented meaning of :PORT
