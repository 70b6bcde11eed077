"""PURE. The root of Tocsin's own errors, and those that both services raise."""

MAX_ECHO = 15
"""Characters that an error repeats of what was sent: fewer than an API key or a webhook's token has."""


class TocsinError(Exception):
    """Anything that Tocsin itself says is wrong. Its text is safe to show: it never holds a secret."""


class SettingsError(TocsinError):
    """The environment does not make valid settings; the text names each variable and what is allowed."""


class InvalidScheduleError(TocsinError, ValueError):
    """A cron expression that Tocsin refuses; the text names the field, the value and what is allowed."""


class InvalidTimezoneError(TocsinError, ValueError):
    """A name that is no time zone; the text names those that are near."""


class InvalidWebhookUrlError(TocsinError, ValueError):
    """A webhook URL that Tocsin refuses to post to; the text never repeats the URL, which is a secret."""


class SealingError(TocsinError):
    """A sealed value cannot be opened; the text says why and what to do about it."""


class MissingKeyError(SealingError):
    """The key that sealed a value is not among those given: with it the value opens again."""


class UnavailableError(TocsinError):
    """PostgreSQL or RabbitMQ could not be reached within the time that was allowed."""


def shown(text: str) -> str:
    """`text` as an error may repeat it: somebody may put a secret there by mistake, and none is so short."""
    return repr(text) if len(text) <= MAX_ECHO else "a longer text"
