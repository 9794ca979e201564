"""Canaille (https://canaille.readthedocs.io) as it comes, with its people in memory.

serve PORT TOKEN         an app: its SCIM server, for whoever has the token
push BASE TOKEN          an identity provider: one joins a team, moves and leaves, and Canaille's own client says so to BASE
"""

import datetime
import json
import sys
import threading

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend

mode, where, token = sys.argv[1:4]
name = f"127.0.0.1:{where}" if mode == "serve" else "canaille.example.com"
app = create_app(
    {
        "SECRET_KEY": "not-a-secret",
        "SERVER_NAME": name,
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"DATABASE": "memory", "LOGGING": {"version": 1}},
        "CANAILLE_OIDC": {"TRUSTED_DOMAINS": ["127.0.0.1", "rollcall.example.com"]},
        "CANAILLE_SCIM": {"ENABLE_SERVER": True, "ENABLE_CLIENT": mode == "push"},
    },
    init_backend=True,
)


def known_client(uri):
    """A client that Canaille trusts, with a token that does not end while the test runs."""
    client = models.Client(client_id="rollcall", client_name="Rollcall", client_uri=uri, scope=["openid"])
    Backend.instance.save(client)
    access = models.Token(
        token_id="token", access_token=token, subject=None, audience=[client], client=client, refresh_token="refresh",
        scope=["openid"], issue_date=datetime.datetime.now(datetime.timezone.utc), lifetime=86400,
    )
    Backend.instance.save(access)


class OneAtATime:
    """Canaille's store in memory is for one request at a time: two that write at once lose a group from its index."""

    def __init__(self, inner):
        self.inner, self.alone = inner, threading.Lock()

    def __call__(self, environ, start_response):
        with self.alone:
            # A list: what is written is written before the next one is let in.
            return list(self.inner(environ, start_response))


def push():
    person = models.User(user_name="cora", formatted_name="Cora Lee", family_name="Lee", given_name="Cora",
                         display_name="Cora", title="Dev", emails=["cora@example.com"])
    Backend.instance.save(person)
    team = models.Group(display_name="Engineering", members=[person])
    Backend.instance.save(team)
    print(json.dumps({"id": person.id}), flush=True)
    for line in sys.stdin:
        match line.strip():
            case "move":
                person.title = "Lead"
                Backend.instance.save(person)
            case "lock":
                person.lock_date = datetime.datetime.now(datetime.timezone.utc)
                Backend.instance.save(person)
            case "unlock":
                person.lock_date = None
                Backend.instance.save(person)
            case "delete":
                Backend.instance.delete(person)
        print("done", flush=True)


if mode == "serve":
    with app.app_context(), Backend.instance.session():
        known_client("http://rollcall.example.com")
    app.wsgi_app = OneAtATime(app.wsgi_app)
    app.run(port=int(where), threaded=True, debug=False, use_reloader=False)
else:
    with app.test_request_context(), Backend.instance.session():
        known_client(where)
        push()
