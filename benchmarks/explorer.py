"""The explorer: what has to be loaded, and how fast it answers, in Chromium.

Sizes are in KB, packed as a server would send them. An interaction is a line turned by a degree, or
a digit under other noise: everything shown follows, painting included. `slowed` means a processor
that Chromium slows down six times, about as fast as a telephone's.
"""

import gzip
import shutil
import statistics

from cnnlab.runtime import repository_root

ADDRESSES = {"lines": "", "digits": "#mode=digits&example=3"}
CHANGES = {
    "lines": "explorer.state.line.angle = step",
    "digits": "explorer.state.noise = step / 20",
}
STEPS, SLOWED = 120, 6


def measure() -> list[dict]:
    """Measure sizes and times.

    Returns:
        Rows with "work" and its numbers: "KB" of code and models; of each page "load, ms" until it
        has answered, and the "median, ms" and "95 %, ms" of an interaction. None of the latter
        without Chromium.
    """
    folder = repository_root() / "web"
    code = [*folder.glob("*.html"), *folder.glob("*.css"), *folder.glob("scripts/*.js")]
    rows = [{"work": "explorer: code", "KB": sum(map(_packed, code))}]
    rows += [
        {"work": f"explorer: models/{file.name}", "KB": _packed(file)}
        for file in sorted((folder / "models").iterdir())
    ]
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    return rows + (_in_a_browser(folder, program) if program else [])


def _packed(file):
    return len(gzip.compress(file.read_bytes())) / 1000


def _in_a_browser(folder, program):
    from playwright.sync_api import sync_playwright

    rows = []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program)
        for name, address in ADDRESSES.items():
            for slowed in (1, SLOWED):
                page = browser.new_page()
                session = page.context.new_cdp_session(page)
                session.send("Emulation.setCPUThrottlingRate", {"rate": slowed})
                page.goto(f"file://{folder}/index.html{address}")
                page.wait_for_function("window.lastUpdate")
                load = page.evaluate("performance.now()")
                page.wait_for_timeout(3000)  # what is done when idle
                times = page.evaluate(f"""() => Array.from({{ length: {STEPS} }}, (_, step) => {{
                    {CHANGES[name]};
                    explorer.update();
                    return lastUpdate;
                }})""")
                words = f"explorer: {name}" + (f", slowed {slowed} times" if slowed > 1 else "")
                row = {"work": words, "load, ms": load, "median, ms": statistics.median(times)}
                rows.append(row | {"95 %, ms": statistics.quantiles(times, n=20)[-1]})
                page.close()
        browser.close()
    return rows
