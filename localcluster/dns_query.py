"""Query a DNS server directly, without this host's resolver (RFC 1035, section 4.1)."""

import secrets
import socket
import struct

_TIMEOUT_SECONDS = 2
_RECURSION_DESIRED = 0x0100
_RESPONSE_CODE = 0xF  # mask of the flags; 0 is success
_A, _INTERNET = 1, 1


def address_of(name: str, host: str, port: int) -> str | None:
    """The IPv4 address of a name according to the server at ``host`` and ``port`` (the last of several), or None.

    Raises:
        OSError: The server did not answer.
    """
    labels = b"".join(bytes([len(label)]) + label.encode() for label in [*name.split("."), ""])
    question = labels + struct.pack("!2H", _A, _INTERNET)
    query = struct.pack("!6H", secrets.randbits(16), _RECURSION_DESIRED, 1, 0, 0, 0) + question
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(_TIMEOUT_SECONDS)
        client.connect((host, port))
        client.send(query)
        reply = client.recv(512)
    flags, _, answers = struct.unpack("!3H", reply[2:8])
    # the reply ends with the last A record, which ends with its address
    return socket.inet_ntoa(reply[-4:]) if answers and not flags & _RESPONSE_CODE else None
