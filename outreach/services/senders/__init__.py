"""The interface of a sender. ``domain.channels.CHANNELS`` names the sender of each channel."""

from typing import Protocol

from outreach.conf import OutreachConf
from outreach.domain.reservation import Outcome, Outgoing


class Sender(Protocol):
    """Sends touches to a server. Each sender thread has its own instance, created with the conf as its only argument.

    ``send`` returns the outcome. An exception counts as ``unknown``, because the touch may have been delivered. It must
    time out by itself, well within a minute.
    """

    def __init__(self, conf: OutreachConf) -> None: ...

    def send(self, touch: Outgoing) -> Outcome: ...

    def close(self) -> None:
        """Closes connections kept for the next touch; ``send`` may be called again."""
