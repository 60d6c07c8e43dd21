"""The headless browser that opens reports, and what it says of them.

selenium drives the browser and the driver of the system; their paths are given, so that selenium
looks for nothing and downloads nothing.
"""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--window-size=1280,860",
)
PATIENCE = 20
"""Seconds to wait for what should take milliseconds; a busy machine is no failure."""


class Browser:
    """One browser for all tests, with an empty profile."""

    def __init__(self, driver: str, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self.driver.set_page_load_timeout(60)

    def close(self) -> None:
        self.driver.quit()

    def open(self, page: Path, fragment: str = "") -> None:
        """Open a page afresh, with logs that hold nothing older."""
        self.driver.get("about:blank")
        self.driver.get_log("performance")
        self.driver.get_log("browser")
        self.driver.get(page.as_uri() + fragment)

    def go(self, fragment: str) -> None:
        """Follow a link within the open page; returns when it is shown."""
        self.driver.execute_async_script(
            "const [fragment, done] = arguments;"
            "if (location.hash === fragment) done();"
            "addEventListener('hashchange', () => setTimeout(done), {once: true});"
            "location.hash = fragment;",
            fragment,
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function in the page; returns what it returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: Any) -> Any:
        """Run it until it returns something true."""
        return self.until(lambda: self.run(script, *arguments), script)

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        end = time.monotonic() + PATIENCE
        while not (found := holds()):
            assert time.monotonic() < end, f"never came true: {what}"
            time.sleep(0.02)
        return found

    def press(self, *keys: str) -> None:
        """Press keys one after another, as a person does."""
        ActionChains(self.driver).send_keys(*(getattr(Keys, k.upper(), k) for k in keys)).perform()

    def click(self, selector: str, place: int = 0) -> None:
        """Click as a person does: Back passes over steps that a script took by itself."""
        self.wait("return document.querySelectorAll(arguments[0])[arguments[1]]", selector, place)
        self.driver.find_elements("css selector", selector)[place].click()

    def click_at(self, selector: str, x: float, y: float) -> None:
        """Click on an element, so many pixels from its middle."""
        element = self.driver.find_element("css selector", selector)
        actions = ActionChains(self.driver, duration=0)
        actions.move_to_element_with_offset(element, round(x), round(y)).click().perform()

    def wheel(self, selector: str, down: int) -> None:
        """Turn the wheel over the middle of an element."""
        element = self.driver.find_element("css selector", selector)
        origin = ScrollOrigin.from_element(element)
        ActionChains(self.driver, duration=0).scroll_from_origin(origin, 0, down).perform()

    def picture_of(self, selector: str) -> Image.Image:
        """What an element looks like."""
        png = self.driver.find_element("css selector", selector).screenshot_as_png
        return Image.open(io.BytesIO(png)).convert("RGB")

    def count(self, selector: str) -> int:
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.textContent", selector))

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return list(self.run(script, selector))

    def hash(self) -> str:
        return str(self.run("return location.hash"))

    def requested(self) -> list[str]:
        """Every address that the page has asked for since it was opened."""
        entries = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        sent = [e["params"] for e in entries if e["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]

    def complaints(self) -> list[str]:
        """What stands in the console: errors, warnings, violations of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def images_loaded(self) -> int:
        """Wait for every image in the document; returns how many there are."""
        self.wait(
            "const all = [...document.images];"
            "return all.length > 0 && all.every((i) => i.complete && i.naturalWidth > 0)"
        )
        return self.count("img")

    def emulate(self, width: int, height: int, scheme: str = "light") -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )

    def on_paper(self, width: int) -> None:
        """As the page is when it is printed on paper of this width."""
        self.run("dispatchEvent(new Event('beforeprint'))")
        self.emulate(width, 1000)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})

    def off_paper(self) -> None:
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        self.run("dispatchEvent(new Event('afterprint'))")
