"""URLs in TrainingJobs, which do not show credentials. Pure."""

from vott_guard.redaction import redact_url


def url_in_spec(url: str) -> str:
    """The URL as a TrainingJob shows it: redacted, with the scheme in lower case, as the CustomResourceDefinition requires."""
    scheme, separator, rest = redact_url(url).partition("://")
    return f"{scheme.lower()}{separator}{rest}"


def has_credentials(url: str) -> bool:
    """Whether a URL may carry a credential: any query may be a SAS or a signature."""
    return url != redact_url(url)
