"""An SMTP server (aiosmtpd) that keeps what it gets, one JSON file a message: mailbox.py PORT FOLDER [USER PASSWORD]."""

import email
import email.policy
import json
import os
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Keeps:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if os.path.exists(os.path.join(self.folder, "nobody-" + address)):
            return f"550 5.1.1 <{address}>: nobody is called that here"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):
        if os.path.exists(os.path.join(self.folder, "refuse")):
            return "451 not now"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.count += 1
        kept = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": message["subject"],
            "auto_submitted": message["auto-submitted"],
            "message_id": message["message-id"],
            "text": message.get_content(),
        }
        place = os.path.join(self.folder, f"{self.count:04}.json")
        with open(place + ".part", "w", encoding="utf-8") as file:
            json.dump(kept, file)
        os.rename(place + ".part", place)
        return "250 kept"


def main():
    port, folder, *login = sys.argv[1:]
    settings = {}
    if login:
        user, password = login

        def knows(server, session, envelope, mechanism, data):
            known = (data.login, data.password) == (user.encode(), password.encode())
            return AuthResult(success=known)

        settings = {"authenticator": knows, "auth_required": True, "auth_require_tls": False}
    controller = Controller(Keeps(folder), hostname="127.0.0.1", port=int(port), **settings)
    controller.start()
    threading.Event().wait()


main()
