"""The interface of a sender. ``domain.channels.CHANNELS`` names the sender of each channel."""

from typing import Protocol

from outreach.conf import OutreachConf
from outreach.domain.reservation import Outcome, Outgoing


class Sender(Protocol):
    """Hands touches to a server. Each sending thread has its own instance, made with the conf as only argument.

    ``send`` answers with what became of the touch and raises nothing that it foresees: an exception counts as
    ``unknown``, because the touch may have left. It gives up by itself after a time that is short beside a minute.
    """

    def __init__(self, conf: OutreachConf) -> None: ...

    def send(self, touch: Outgoing) -> Outcome: ...

    def close(self) -> None:
        """Gives up connections that are kept for the next touch; ``send`` may be called again."""
