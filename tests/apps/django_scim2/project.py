"""An app with django-scim2 (https://github.com/15five/django-scim2) as it comes: project.py PORT DATABASE TOKEN."""

import os
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

PORT, DATABASE, TOKEN = int(sys.argv[1]), sys.argv[2], sys.argv[3]
sys.path.insert(0, str(Path(__file__).parent))


class Caller:
    """Whoever has the token."""

    is_anonymous = False
    is_authenticated = True


def bearer(get_response):
    def handle(request):
        if request.headers.get("Authorization") == f"Bearer {TOKEN}":
            request.user = Caller()
        return get_response(request)

    return handle


settings.configure(
    SECRET_KEY="not-a-secret",
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "people", "django_scim"],
    AUTH_USER_MODEL="people.Person",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    ROOT_URLCONF="__main__",
    MIDDLEWARE=["__main__.bearer", "django_scim.middleware.SCIMAuthCheckMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE, "OPTIONS": {"timeout": 20}}},
    SCIM_SERVICE_PROVIDER={
        "NETLOC": f"127.0.0.1:{PORT}",
        "SCHEME": "http",
        "GROUP_MODEL": "people.models.Team",
        "AUTHENTICATION_SCHEMES": [{"type": "oauthbearertoken", "name": "Token", "description": "a bearer token"}],
    },
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402

urlpatterns = [path("scim/v2/", include("django_scim.urls"))]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format, *args):
        if os.environ.get("VERBOSE"):
            super().log_message(format, *args)


call_command("migrate", run_syncdb=True, verbosity=0)
make_server("127.0.0.1", PORT, get_wsgi_application(), server_class=Server, handler_class=Quiet).serve_forever()
