"""WSGI application: the API and the admin."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import resolve

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avo_project.settings")
application = get_wsgi_application()
resolve("/livez")  # loads all routes and pages before the first request
