"""The same application under an ASGI server: for the live feed of signals."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avo_project.settings")
application = get_asgi_application()
