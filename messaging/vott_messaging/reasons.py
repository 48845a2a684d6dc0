"""Why a message is rejected. Reasons are API, because tools match on them: never rename one."""

from typing import Final

# Reasons of a rejected message.
NOT_TEXT: Final = "NotText"
MESSAGE_TOO_LARGE: Final = "MessageTooLarge"
NOT_JSON: Final = "NotJSON"
NOT_AN_OBJECT: Final = "NotAnObject"
INVALID_MESSAGE: Final = "InvalidMessage"
PLUGIN_NOT_ALLOWED: Final = "PluginNotAllowed"
INTERNAL_ERROR: Final = "InternalError"
