"""Signs in to the console with an identity provider, in a real browser.

console_oidc.py URL: the provider knows ada, who is an auditor here, and eve, who is nobody.
"""

import os
import re
import sys

from playwright.sync_api import expect, sync_playwright

url = sys.argv[1]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=os.environ["ROLLCALL_CHROMIUM"], args=FLAGS)

    def sign_in(who):
        page = browser.new_context().new_page()
        page.goto(url + "/")
        page.get_by_role("link", name="Sign in with the test provider").click()
        page.get_by_role("button", name=who).click()
        return page

    page = sign_in("ada")
    expect(page).to_have_url(url + "/")
    expect(page.get_by_role("button", name="Sign out")).to_have_attribute("title", "Signed in as ada@example.com, auditor")
    page.goto(url + "/console/identities")
    expect(page.get_by_role("heading", level=1)).to_have_text("Identities")

    page = sign_in("eve")
    expect(page.get_by_role("alert")).to_contain_text("eve@example.com has none of the groups that have a role here")
    page.goto(url + "/")
    expect(page).to_have_url(url + "/console/sign-in")

    # Who refuses at the provider is told so; what was not begun here is not finished here.
    page = browser.new_context().new_page()
    page.goto(url + "/")
    page.get_by_role("link", name="Sign in with the test provider").click()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("alert")).to_contain_text("Not signed in")
    answer = page.goto(url + "/console/oidc/callback?code=stolen&state=guessed")
    assert answer.status == 403, answer.status
    expect(page.get_by_role("alert")).to_contain_text(re.compile("not begun here"))
    browser.close()
print("done")
