"""The admin pages of the signal stream."""

from signals_app.admin import pages as pages
