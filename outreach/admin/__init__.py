"""The admin pages of the outreach queue and its tables."""

from outreach.admin import queue_page as queue_page
from outreach.admin import tables as tables
