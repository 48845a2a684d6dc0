"""The error of an image that decodes but is refused."""


class UnsupportedImageError(OSError):
    """An image that no browser shows, or that takes too much memory or time to decode."""
