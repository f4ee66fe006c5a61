"""Looking through the stream on its admin page: entries by id or symbol, and what a group has in hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils.html import format_html

from avo_project.console.live_state_admin import Panel
from signals_app import keys
from signals_app.admin_cells import HIDDEN, Begin, idle_words, time_of
from signals_app.roles import inspection
from signals_app.roles.event_page import EventQuery
from signals_app.rules.entry_id import order
from signals_app.rules.lag import GroupFigures
from signals_app.store.pending import PendingDelivery

_SHOWN = 20
_LOOKED_AT = 200
_MOST_READ = 5_000


@dataclass(frozen=True, slots=True)
class Search:
    """``text`` is an entry id, a signal id or a symbol; ``older`` and ``later`` are the entry ids from which the lists
    of entries and of pending deliveries go on."""

    text: str = ""
    group: str = keys.DEFAULT_GROUP
    consumer: str = ""
    older: str = ""
    later: str = "0-0"

    @classmethod
    def of(cls, asked: QueryDict) -> "Search":
        """What makes no sense is left out."""
        given = {name: asked.get(name, "").strip()[:80] for name in cls.__slots__}
        for name in ("older", "later"):
            if not _is_entry_id(given[name]):
                given[name] = ""
        return cls(**{name: value for name, value in given.items() if value})

    def link(self, label: str, **changes: str) -> str:
        asked = {name: getattr(self, name) for name in self.__slots__} | changes
        return format_html('<a href="?{}">{}</a>', urlencode(asked), label)

    def wants(self, one: PendingDelivery) -> bool:
        return not self.text or self.text in (one.entry_id, one.signal_id) or self.text.upper() == one.symbol.upper()


def entries_panel(search: Search, length: int, may_see_payload: bool) -> Panel:
    """The newest events, or the newest that are looked for."""
    page = inspection.events_with(search.text, EventQuery(limit=_SHOWN, before=search.older, most_read=_MOST_READ))
    rows = [
        (
            entry_id,
            time_of(entry_id),
            event.symbol,
            event.direction if may_see_payload else HIDDEN,
            event.confidence if may_see_payload else HIDDEN,
            event.signal_id,
        )
        for entry_id, event in page.events
    ]
    title = f"Events with {search.text}" if search.text else f"Newest events of {length}"
    older = search.link("Older", older=page.next_before) if page.next_before else "There are no older ones."
    columns = ("Entry", "Added", "Symbol", "Direction", "Confidence", "Signal")
    return Panel(title, columns, rows, older)


def pending_panel(search: Search, begin: Begin, groups: Sequence[GroupFigures]) -> Panel:
    """What the group has in hand, of a page of its deliveries those that are looked for."""
    group = next((one for one in groups if one.name == search.group), None)
    page = inspection.pending(search.group, after=search.later, count=_LOOKED_AT, consumer=search.consumer)
    found = [one for one in page if search.wants(one)]
    rows = [_pending_row(search.group, one, begin, group) for one in found[:_SHOWN]]
    if len(found) > _SHOWN:
        later = search.link("Later", later=found[_SHOWN - 1].entry_id)
    else:
        later = search.link("Later", later=page[-1].entry_id) if len(page) == _LOOKED_AT else "There are no later ones."
    columns = ("Entry", "Added", "Consumer", "Idle", "Deliveries", "Symbol", "Signal", "Mend", "Mend")
    return Panel(f"Pending in {search.group}", columns, rows, later)


def _pending_row(group_name: str, one: PendingDelivery, begin: Begin, group: GroupFigures | None) -> tuple[object, ...]:
    given = {"group": group_name, "entry_id": one.entry_id}
    actions = ("", "")
    if group is None or not group.is_in_use_elsewhere(one.consumer):
        actions = (begin("acknowledge", "Acknowledge…", **given), begin("bury", "Bury…", **given))
    return (
        one.entry_id, time_of(one.entry_id), one.consumer, idle_words(one.idle_seconds), one.deliveries, one.symbol,
        one.signal_id, *actions,
    )  # fmt: skip


def _is_entry_id(text: str) -> bool:
    try:
        order(text)
    except ValueError:
        return False
    return True
