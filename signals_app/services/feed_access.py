"""What the live feed asks of whoever limits its clients; ``settings.SIGNALS["FEED_ACCESS"]`` names who that is."""

from typing import Any, Protocol


class FeedAccess(Protocol):
    """One client's place in the feed. Its methods are called in threads."""

    def renew(self) -> bool:
        """Keeps the place for another 45 s; False when it was lost."""

    def charge(self, units: int) -> float:
        """Charges work beyond the request itself; 0, or the seconds to wait before trying again."""

    def release(self) -> None:
        """Gives the place back."""


class UnlimitedAccess:
    """The access of a project that limits nobody."""

    def renew(self) -> bool:
        return True

    def charge(self, units: int) -> float:
        return 0.0

    def release(self) -> None:
        pass


def unlimited(request: Any) -> FeedAccess:
    """The default of ``FEED_ACCESS``."""
    return UnlimitedAccess()
