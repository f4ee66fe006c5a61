"""Admin pages of the throttling app."""

from throttling.admin import limits_page as limits_page
from throttling.admin import tables as tables
