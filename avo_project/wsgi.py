"""The API and the admin under a WSGI server."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import resolve

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avo_project.settings")
application = get_wsgi_application()
resolve("/livez")  # loads every route and page here, so that no first request waits for it
