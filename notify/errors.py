"""Every public exception of this package.

NotifyError
├── ConfigError       a setting or an argument is unusable: raised where something is set up, never by what is said
├── Unfit             what Backend.check() raises of a destination that is there and set up wrongly
└── DeliveryError     what Backend.send() raises to say what becomes of its events
    ├── RetryLater    the destination is unwell or busy: keep the events
    ├── Rejected      the destination will never take the first event
    └── Gone          the destination will take nothing any more
"""


class NotifyError(Exception):
    """Base of the exceptions on this page."""


class ConfigError(NotifyError):
    """A setting, or an argument in its place, is missing, malformed or unusable. Names it, never shows its value.

    Raised by `setup()`, and by what a program sets up itself: `Notifier`, `Notifier.add`, `Threshold`, `StatusServer`.
    """


class Unfit(NotifyError):
    """The destination was reached and takes events, and how it is set up may cost some: `notify doctor` warns.

    Raised by `Backend.check()` alone. The text says what was found and what to change, without credentials.
    """


class DeliveryError(NotifyError):
    """Base of what `Backend.send()` raises. The text must not contain credentials."""


class RetryLater(DeliveryError):
    """The events were not taken, and may be tried again.

    Args:
        after: seconds until the next attempt is welcome; None leaves the wait to the lane's backoff.
        reason: what happened, for `stats()`.
    """

    def __init__(self, after: float | None = None, reason: str = "") -> None:
        super().__init__(reason or "try again later")
        self.after = after
        self.reason = reason


class Rejected(DeliveryError):
    """The first event was refused for what it is. It is not tried again; the next one is."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Gone(DeliveryError):
    """The destination exists no more or refuses us. The lane stops, and probes it now and then."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
