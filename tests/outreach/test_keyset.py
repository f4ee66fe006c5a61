"""Pages by key give every row once and in order, whatever the size of a page."""

import pytest

from outreach.models import Inbox
from outreach.services.keyset import keyset_pages


@pytest.mark.django_db
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
def test_every_row_comes_once_and_in_order(size: int) -> None:
    gaps = [1, 1, 2, 2, 2, 3, 3]
    Inbox.objects.bulk_create(
        Inbox(address=f"i{number}@example.com", min_gap_seconds=gap) for number, gap in enumerate(gaps)
    )
    pages = list(keyset_pages(Inbox.objects.all(), "min_gap_seconds", "channel", "id", size=size))
    rows = [(row.min_gap_seconds, row.pk) for page in pages for row in page]
    assert rows == sorted(rows)
    assert len(set(rows)) == len(gaps)
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)


@pytest.mark.django_db
def test_no_row_is_no_page() -> None:
    assert list(keyset_pages(Inbox.objects.all(), "id", size=2)) == []
