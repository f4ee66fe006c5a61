"""The API and the admin under a WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avo_project.settings")
application = get_wsgi_application()
