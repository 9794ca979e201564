"""A joiner, a mover and a leaver through scim2-client: it discovers the server, and checks every answer against it.

Usage: joiner_mover_leaver.py BASE_URL TOKEN
"""

import sys

import httpx2 as httpx
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import PatchOp, PatchOperation, SearchRequest

base, token = sys.argv[1:]
client = SyncSCIMClient(httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}))
client.discover()
User = client.get_resource_model("User")
Group = client.get_resource_model("Group")

ada = client.create(User(user_name="ada@example.com", active=True, title="Engineer"))
assert ada.id and ada.meta.version, ada
team = client.create(Group(display_name="Engineers", members=[Group.Members(value=ada.id)]))
assert client.query(User, ada.id).groups[0].value == team.id

ada.title = "Director"
assert client.replace(ada).title == "Director"
found = client.query(User, query_parameters=SearchRequest(filter='userName eq "ADA@example.com"'))
assert [user.id for user in found.resources] == [ada.id], found

leave = PatchOp[User](operations=[PatchOperation(op="replace", path="active", value=False)])
client.modify(User, ada.id, leave)
assert client.query(User, ada.id).active is False
client.delete(User, ada.id)
gone = client.query(User, ada.id, raise_scim_errors=False)
assert int(gone.status) == 404, gone
print("joined, moved and left")
