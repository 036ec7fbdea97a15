"""WSGI entry point: Django, with the hot read path in front of it."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "harborlite.settings")

_django = get_wsgi_application()

from registry.v2.hot import HotReads  # noqa: E402 - models can be imported once Django is set up
from system import events  # noqa: E402

application = HotReads(_django)
events.start()
