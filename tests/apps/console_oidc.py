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

    def sign_in(who, wanted="/"):
        page = browser.new_context().new_page()
        page.goto(url + wanted)
        page.get_by_role("link", name="Sign in with the test provider").click()
        page.get_by_role("button", name=who).click()
        return page

    page = sign_in("ada")
    expect(page).to_have_url(url + "/")
    expect(page.get_by_role("button", name="Sign out")).to_have_attribute("title", "Signed in as ada@example.com, auditor")
    page.goto(url + "/console/identities")
    expect(page.get_by_role("heading", level=1)).to_have_text("Identities")

    # Who has followed a link lands where it leads; and a link on another site finds the session that there is.
    link = url + "/console/leavers?status=overdue"
    page = sign_in("ada", "/console/leavers?status=overdue")
    expect(page).to_have_url(link)
    page.route("http://elsewhere.localhost/", lambda route: route.fulfill(
        content_type="text/html", body=f'<!doctype html><title>Mail</title><a href="{link}">overdue</a>'))
    page.goto("http://elsewhere.localhost/")
    page.get_by_role("link", name="overdue").click()
    expect(page).to_have_url(link)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()

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
