"""Takes the README's pictures of the console. pictures.py URL TOKEN FOLDER"""

import os
import pathlib
import sys

from playwright.sync_api import expect, sync_playwright

url, token, folder = sys.argv[1:]
folder = pathlib.Path(folder)
folder.mkdir(parents=True, exist_ok=True)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=os.environ["ROLLCALL_CHROMIUM"], args=FLAGS)
    page = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light").new_page()
    page.goto(url + "/")
    page.get_by_label("API token").fill(token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.screenshot(path=folder / "overview.png")
    page.locator("tbody a").first.click()
    expect(page.get_by_text("Not gone")).to_be_visible()
    page.screenshot(path=folder / "leaver.png")
    browser.close()
