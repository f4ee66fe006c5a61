"""Search for entries and pending deliveries on the page of the stream."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest

from signals_app import keys
from signals_app.store.group import ConsumerGroup
from signals_app.store.stream import SignalStream
from tests.signals_app.conftest import event, ids

PAGE = "/admin/signals_app/livestream/"


@pytest.fixture
def entry_ids(stream: SignalStream, redis_client: Any) -> list[str]:
    """Thirty events of two symbols in turn; number 7 is ``BRK.B`` number 3."""
    events = [event(number, symbol="BRK.B" if number % 2 else "AAPL") for number in range(30)]
    return stream.publish(events, publisher="p", batch=1).entry_ids


def panel(browser: Any, title: str, **asked: str) -> str:
    page = browser.get(f"{PAGE}?{urlencode(asked)}").content.decode()
    found = re.search(f"<caption>{title}.*?</section>", page, re.DOTALL)
    assert found, page
    return found[0]


def test_entries_are_found_by_symbol_signal_id_and_entry_id(operator_client: Any, entry_ids: list[str]) -> None:
    by_symbol = panel(operator_client, "Events with", text="brk.b")
    assert by_symbol.count("<td>BRK.B</td>") == 15
    assert "AAPL" not in by_symbol
    by_signal = panel(operator_client, "Events with", text=event(7).signal_id.upper())
    assert by_signal.count("<tr><td>") == 1
    assert entry_ids[7] in by_signal
    assert event(8).signal_id in panel(operator_client, "Events with", text=entry_ids[8])
    assert "No entries" in panel(operator_client, "Events with", text="MSFT")


def test_older_entries_are_linked(operator_client: Any, entry_ids: list[str]) -> None:
    newest = panel(operator_client, "Newest events")
    assert newest.count("<tr><td>") == 20
    link = re.search(r'href="\?([^"]+)">Older', newest)
    assert link
    older = operator_client.get(f"{PAGE}?{link[1].replace('&amp;', '&')}").content.decode()
    assert entry_ids[0] in older
    assert entry_ids[29] not in older


def test_pending_deliveries_are_listed_with_their_consumer_and_actions(
    operator_client: Any, entry_ids: list[str], group: ConsumerGroup
) -> None:
    group.read("worker-7", count=3, block_ms=0)
    group.read("worker-8", count=3, block_ms=0)
    everything = panel(operator_client, "Pending in apex-group")
    assert everything.count("<td>worker-7</td>") == everything.count("<td>worker-8</td>") == 3
    assert (
        everything.count('formaction="do/acknowledge/"')
        == everything.count('formaction="do/move_to_dead_letters/"')
        == 6
    )
    assert panel(operator_client, "Pending in", text="AAPL").count("<td>AAPL</td>") == 3
    assert panel(operator_client, "Pending in", consumer="worker-8").count("<td>worker-") == 3
    assert panel(operator_client, "Pending in", text=entry_ids[4]).count("<tr><td>") == 1
    assert "No entries" in panel(operator_client, "Pending in", group="nobody")
    given = urlencode({"group": "apex-group", "entry_id": entry_ids[0]})
    asked = operator_client.post(f"{PAGE}do/acknowledge/", {"given": given}).content.decode()
    assert f"worker-7 of group apex-group holds {entry_ids[0]}, delivered 1 times." in asked
    confirmed = {"given": given, "confirmed": "yes", "reason": "handled by phone"}
    operator_client.post(f"{PAGE}do/acknowledge/", confirmed)
    assert group.pending() == 5


def test_many_pending_deliveries_are_paged(
    operator_client: Any, stream: SignalStream, redis_client: Any, group: ConsumerGroup
) -> None:
    stream.publish([event(number, symbol=f"S{number}") for number in range(450)], publisher="p", batch=1)
    held = ids(group.read("one", count=450, block_ms=0))
    first = panel(operator_client, "Pending in")
    assert first.count("<tr><td>") == 20
    assert f"later={held[19]}" in first
    assert f"later={held[199]}" in panel(operator_client, "Pending in", text="S430"), "looked at, and not among them"
    assert "S430" in panel(operator_client, "Pending in", text="S430", later=held[399])


def test_invalid_parameters_are_ignored(operator_client: Any, redis_client: Any) -> None:
    answer = operator_client.get(f"{PAGE}?older=soon&later=-&text={'x' * 500}&group=%00")
    assert answer.status_code == 200
    assert redis_client.exists(keys.LIVE) == 0
