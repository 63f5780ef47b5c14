"""A headless Chromium, driven over WebDriver (https://www.w3.org/TR/webdriver2/)."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PATIENCE = 30


class Browser:
    """One window. Ends with the `with` that it is made in."""

    def __init__(self, width=1280, height=900, dark=False):
        self.port = free_port()
        self.driver = subprocess.Popen(
            [shutil.which("chromedriver"), f"--port={self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        arguments = ["--headless=new", "--disable-gpu", f"--window-size={width},{height}", "--hide-scrollbars"]
        if os.geteuid() == 0:
            # Its sandbox does not work for root.
            arguments.append("--no-sandbox")
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments, "binary": shutil.which("chromium")},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                made = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}}, root=True)
                break
            except OSError:
                assert time.monotonic() < deadline, "the browser does not start"
                time.sleep(0.1)
        self.session = made["sessionId"]
        if dark:
            # Without a head it takes no flag for that.
            features = [{"name": "prefers-color-scheme", "value": "dark"}]
            self.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}})
            assert self.run("return matchMedia('(prefers-color-scheme: dark)').matches"), "it is not dark"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(PATIENCE)

    def ask(self, method, path, body=None, root=False):
        base = f"http://127.0.0.1:{self.port}" + ("" if root else f"/session/{self.session}")
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(base + path, data=data, method=method)
        request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:500]}") from None

    def phone(self, width, height):
        """Windows have a least width that phones have not."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """The value of a script's body."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script, *arguments):
        """What a script gives to its last argument, a function."""
        return self.ask("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def until(self, what, script, *arguments):
        """Waits until the script's value is true, and answers it."""
        deadline = time.monotonic() + PATIENCE
        while not (value := self.run(script, *arguments)):
            text = self.run("return document.body.innerText")
            assert time.monotonic() < deadline, f"{what} does not come; the page says:\n{text}"
            time.sleep(0.1)
        return value

    def click(self, selector):
        element = self.ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]
        self.ask("POST", f"/element/{element}/click")

    def press(self, key):
        """To whatever has the focus."""
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def errors(self):
        """What the page complained about."""
        return [entry for entry in self.ask("POST", "/se/log", {"type": "browser"}) if entry["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, path):
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def accessibility(self, axe):
        """The rules of WCAG 2.1 AA that the page breaks, by axe-core."""
        self.run(axe)
        result = self.run_async(
            "const done = arguments[arguments.length - 1];"
            "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}).then(done, (error) => done({error: String(error)}));"
        )
        assert "error" not in result, result
        return [f"{rule['id']}: {[node['html'][:120] for node in rule['nodes'][:3]]}" for rule in result["violations"]]


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
