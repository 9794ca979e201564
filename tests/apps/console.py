"""Walks the console as a person does, in a real browser; talks to the test that runs it over standard input and output.

console.py URL TOKEN NAME FOLDER: NAME is the user name of the leaver who is overdue; screenshots go to FOLDER.
"""

import os
import pathlib
import sys

from playwright.sync_api import expect, sync_playwright

url, token, name, folder = sys.argv[1:]
folder = pathlib.Path(folder)
AXE = pathlib.Path(os.environ["ROLLCALL_AXE"]).read_text() if os.environ.get("ROLLCALL_AXE") else ""
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]


def fits(page, what):
    """Nothing is wider than the screen."""
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= seen, f"{what} is {wide} wide on a screen of {seen}"


def accessible(page, what):
    """Nothing that WCAG 2.2 AA forbids, as far as a program can see it."""
    if not AXE:
        return
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })")
    said = [f"{v['id']}: {v['nodes'][0]['html'][:160]} {v['nodes'][0].get('failureSummary', '')[:200]}" for v in found["violations"]]
    assert not said, f"{what}: {said}"


def press_to(page, text):
    """Goes by keyboard to a link or button with this text."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.innerText || document.activeElement.value || ''")
        if text in focused:
            return
    raise AssertionError(f"no way by keyboard to '{text}'")


def say(word):
    print(word, flush=True)


def wait_for(word):
    line = sys.stdin.readline().strip()
    assert line == word, f"expected {word}, got {line}"


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=os.environ["ROLLCALL_CHROMIUM"], args=FLAGS)
    context = browser.new_context(viewport=DESK, color_scheme="light")
    page = context.new_page()
    elsewhere, problems = [], []
    page.on("request", lambda request: request.url.startswith(url) or elsewhere.append(request.url))
    page.on("console", lambda message: message.type == "error" and problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))

    # Nobody sees anything before they have signed in.
    page.goto(url + "/")
    expect(page).to_have_url(url + "/console/sign-in")
    page.screenshot(path=folder / "sign-in.png")
    page.get_by_label("API token").fill("not the token")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not one of the API tokens")
    problems.clear()  # the refusal itself
    page.get_by_label("API token").fill(token)
    page.keyboard.press("Enter")
    expect(page).to_have_url(url + "/")

    # The board says who is overdue, where, and who owns it; without a mouse to their page.
    row = page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("overdue", timeout=20000)
    expect(row).to_contain_text("o@example.com")
    page.screenshot(path=folder / "leavers.png")
    fits(page, "the board")
    press_to(page, name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    expect(page.locator(".bar.overdue")).not_to_have_count(0)
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    expect(page.locator(".timeline")).to_contain_text("left")
    page.locator(".timeline summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".timeline details[open]")).to_have_count(1)
    page.screenshot(path=folder / "identity.png", full_page=True)

    # Every page, on a phone and in the dark; each says how to get the same as data.
    places = [
        "/", "/console/leavers", "/console/identities", "/console/apps", "/console/apps/lying", "/console/drift",
        "/console/obligations?status=overdue", "/console/holds", "/console/events", "/console/events/3",
        "/console/grants", "/console/grants?status=ended", "/console/ask", "/console/machines", "/console/handovers",
        "/console/design",
    ]
    for scheme, size, label in [("light", DESK, "light"), ("dark", DESK, "dark"), ("light", PHONE, "phone")]:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        for place in places:
            page.goto(url + place)
            fits(page, f"{place} ({label})")
            expect(page.locator("footer code")).to_contain_text("GET /v1/")
            accessible(page, f"{place} ({label})")
            name_of_shot = place.removeprefix("/console").strip("/").split("?")[0].replace("/", "-") or "overview"
            page.screenshot(path=folder / f"{name_of_shot}-{label}.png", full_page=True)
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light")

    # Whoever is woken acts without a mouse: from the overview to an obligation that is waived, with a reason.
    other = browser.new_context(viewport=DESK)
    walk = other.new_page()
    walk.on("pageerror", lambda error: problems.append(str(error)))
    walk.goto(url + "/")
    walk.get_by_label("API token").fill("ola-secret")
    walk.keyboard.press("Enter")
    expect(walk.get_by_role("row").filter(has_text="bob@example.com")).to_contain_text("overdue", timeout=20000)
    # Keys work once the script has run.
    walk.wait_for_load_state("load")
    walk.keyboard.press("?")
    expect(walk.get_by_role("dialog")).to_be_visible()
    walk.keyboard.press("Escape")
    press_to(walk, "bob@example.com")
    walk.keyboard.press("Enter")
    expect(walk.get_by_text("Not gone")).to_be_visible()
    accessible(walk, "a leaver's page")
    walk.screenshot(path=folder / "leaver.png", full_page=True)
    press_to(walk, "Waive")
    walk.keyboard.press("Enter")
    expect(walk.get_by_label("Why")).to_be_focused()
    accessible(walk, "the confirmation")
    walk.keyboard.type("the vendor is mending it")
    walk.screenshot(path=folder / "waive.png", full_page=True)
    press_to(walk, "Waive")
    walk.keyboard.press("Enter")
    expect(walk.get_by_role("status")).to_contain_text("It is on the log.")
    expect(walk.get_by_text("waived by ola").first).to_be_visible(timeout=20000)
    walk.goto(url + "/console/approvals")
    accessible(walk, "approvals")
    # What is wrong is said, and what was typed is still there.
    walk.goto(url + "/console/obligations?status=nonsense")
    expect(walk.get_by_role("alert")).to_contain_text("nonsense")
    problems.clear()  # the refusal itself
    # What a list shows, as a file.
    with walk.expect_download() as download:
        walk.goto(url + "/console/leavers")
        walk.get_by_role("link", name="CSV").click()
    assert "bob@example.com" in pathlib.Path(download.value.path()).read_text()
    other.close()

    # Search by name.
    page.get_by_label("Find someone").fill(name[:3].upper())
    # The page that was asked for is whole before another one is: the link may stand on the page before as well.
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.get_by_role("link", name=name)).to_be_visible()

    # The app gives in, and the board says so by itself.
    page.goto(url + "/")
    expect(page.get_by_role("row").filter(has_text=name)).to_contain_text("overdue")
    say("overdue")
    wait_for("resolved")
    expect(page.get_by_role("row").filter(has_text=name)).to_have_count(0, timeout=20000)
    page.goto(url + "/console/leavers?q=nobody-is-called-so")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    page.screenshot(path=folder / "resolved.png")

    # Another site can't sign anyone out, and signing out works.
    from_elsewhere = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    answer = context.request.post(url + "/console/sign-out", headers=from_elsewhere)
    assert answer.status == 403, answer.status
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(url + "/console/sign-in")
    page.goto(url + "/console/apps")
    expect(page).to_have_url(url + "/console/sign-in")
    assert not elsewhere, elsewhere
    assert not problems, problems
    browser.close()
say("done")
