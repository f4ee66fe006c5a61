"""Which inbox an address means, in whatever spelling."""

from collections.abc import Iterable

from outreach.models import Inbox, inboxes_of
from outreach.rules.touch import mailbox


class InboxNames(dict[str, Inbox | None]):
    """Inboxes by the addresses that people write; each is looked up once. The exact spelling goes first, so that each
    of two inboxes that share a mailbox can be named."""

    def __missing__(self, address: str) -> Inbox | None:
        self.look_up([address])
        return self[address]

    def look_up(self, addresses: Iterable[str]) -> None:
        """Reads all of them at once."""
        wanted = {address for address in addresses if address not in self}
        self.update((inbox.address, inbox) for inbox in Inbox.objects.filter(address__in=wanted))
        if others := {address: mailbox(address) for address in wanted - self.keys()}:
            by_mailbox = {mailbox(inbox.address): inbox for inbox in inboxes_of(others.values())}
            self.update((address, by_mailbox.get(its)) for address, its in others.items())


def inbox_named(address: str) -> Inbox:
    """Raises LookupError."""
    inbox = InboxNames()[address]
    if inbox is None:
        raise LookupError(f"there is no inbox {address!r}")
    return inbox
