"""The interface between the live feed and the limiter of its clients, named by ``settings.SIGNALS["FEED_ACCESS"]``."""

from typing import Any, Protocol


class FeedAccess(Protocol):
    """The place of one client in the feed. Methods are called in threads."""

    def renew(self) -> bool:
        """Extend the place by 45 s. Returns False when it was lost."""

    def charge(self, units: int) -> float:
        """Charge work beyond the request itself. Returns 0, or the seconds to wait before the next attempt."""

    def release(self) -> None:
        """Release the place."""


class UnlimitedAccess:
    """No limits."""

    def renew(self) -> bool:
        return True

    def charge(self, units: int) -> float:
        return 0.0

    def release(self) -> None:
        pass


def unlimited(request: Any) -> FeedAccess:
    """The default of ``FEED_ACCESS``."""
    return UnlimitedAccess()
