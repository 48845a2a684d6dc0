"""What earlier Azure libraries add around a message: XML's escapes, and .NET's serialization of a string or of bytes.

No XML parser: only complete forms that these libraries write are undone, each in one pass and never to more than it was.
"""

import re

_CHARACTERS = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#0*([0-9]{1,7})|#[xX]0*([0-9A-Fa-f]{1,6}));")
_UNESCAPED = re.compile(rf"&(?!{_REFERENCE.pattern[1:]})|<")

_NAMESPACE = "http://schemas.microsoft.com/2003/10/Serialization/"
_ELEMENT = re.compile(
    rf'\s*(?:<\?xml[^<>]*\?>\s*)?<(string|base64Binary)(?: xmlns="{re.escape(_NAMESPACE)}")?>([^<]*)</\1>\s*'
)
_BINARY_ELEMENT = re.compile(rb"@(?:\x06string|\x0cbase64Binary)\x08" + bytes([len(_NAMESPACE)]) + _NAMESPACE.encode())
_BINARY_OBJECT = re.compile(rb"@[\x01-\x7f][A-Za-z_][\w.-]*\x08[\x01-\x7f]http://")
_END_ELEMENT = 0x01
_RECORDS = {
    0x98: (1, ""), 0x9A: (2, ""), 0x9C: (4, ""),  # Chars8Text, Chars16Text and Chars32Text: UTF-8
    0x9E: (1, ""), 0xA0: (2, ""), 0xA2: (4, ""),  # Bytes8Text and so on
    0xB6: (1, "utf-16-le"), 0xB8: (2, "utf-16-le"), 0xBA: (4, "utf-16-le"),  # UnicodeChars8Text and so on
}  # fmt: skip
"""Text records of [MC-NBFX] that hold a length: its bytes, and the encoding if it is not that of the message.

An odd number is the same record with the element's end.
"""


def unescape(text: str) -> str | None:
    """`text` without XML's predefined entities and character references, each undone once.

    None unless the whole text is escaped: an encoder leaves no other & and no < in it.
    """
    if "&" not in text or _UNESCAPED.search(text):
        return None
    plain = _REFERENCE.sub(_character, text)
    return plain if plain != text else None


def has_references(text: str) -> bool:
    """Whether `text` has one of those entities or references."""
    return bool(_REFERENCE.search(text))


def element_text(text: str) -> str | None:
    """The text of an XML element in which .NET's DataContractSerializer or XmlSerializer put a string or bytes (in base64)."""
    found = _ELEMENT.fullmatch(text)
    return (unescape(found[2]) or found[2]) if found else None


def binary_element_text(body: bytes) -> bytes | None:
    """The same in .NET's binary XML, as `new BrokeredMessage(text)` sends it. None if it is another thing or a record is cut off."""
    found = _BINARY_ELEMENT.match(body)
    return _records(body, found.end()) if found else None


def is_binary_object(body: bytes) -> bool:
    """Whether .NET's DataContractSerializer wrote something in binary XML: a string, bytes or an object."""
    return bool(_BINARY_ELEMENT.match(body) or _BINARY_OBJECT.match(body))


def _records(body: bytes, start: int) -> bytes | None:
    parts: list[bytes] = []
    while start < len(body):
        if body[start] == _END_ELEMENT:
            return b"".join(parts)
        size, encoding = _RECORDS.get(body[start] & ~1, (0, ""))
        length = int.from_bytes(body[start + 1 : start + 1 + size], "little")
        end = start + 1 + size + length
        if not size or end > len(body):
            return None
        part = body[start + 1 + size : end]
        parts.append(part.decode(encoding, errors="replace").encode() if encoding else part)
        if body[start] & 1:
            return b"".join(parts)
        start = end
    return b"".join(parts)


def _character(match: re.Match[str]) -> str:
    if match[1]:
        return _CHARACTERS[match[1]]
    number = int(match[2]) if match[2] else int(match[3], 16)
    is_character = 0 < number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF
    return chr(number) if is_character else match[0]
