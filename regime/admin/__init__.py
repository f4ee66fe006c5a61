"""The admin pages of the regime cache and the macro tables."""

from regime.admin import pages as pages
