"""ASGI application: the API and the admin in threads, the live feed in the event loop."""

import os

from django.core.asgi import get_asgi_application

from avo_project.wsgi import application as wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avo_project.settings")
asgi_application = get_asgi_application()

from avo_project.http.wsgi_bridge import WSGIBridge  # noqa: E402 - its counters need the settings

application = WSGIBridge(wsgi_application, asgi_application, asgi_paths=frozenset({"/api/signals/stream"}))
