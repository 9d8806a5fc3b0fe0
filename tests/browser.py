"""Headless Chromium for tests of the page: what a script finds in it, what it prints."""

import base64
import html
import json
import re
import shutil
import subprocess
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def opened(page: Path, work: Path, *arguments: str) -> tuple[str, str]:
    """Open a page with no way to a network: standard output and the console's messages."""
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--hide-scrollbars", "--no-first-run", f"--user-data-dir={work}/profile", "--proxy-server=127.0.0.1:9",
         "--enable-logging=stderr", "--v=0", *arguments, f"file://{page}"],
        check=True, capture_output=True, text=True, timeout=120)  # fmt: skip
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def found(page: Path, work: Path, expression: str, *arguments: str) -> tuple[dict, str]:
    """What an expression gives in the page, and the console's messages."""
    text = page.read_text(encoding="utf-8")
    script = "<script>addEventListener('load', function () { document.title = 'found ' + "
    script += f"btoa(unescape(encodeURIComponent(JSON.stringify({expression})))); }});</script>"
    changed = work / f"{page.stem}_with_script.html"
    changed.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
    output, console = opened(changed, work, "--dump-dom", *arguments)
    match = re.search(r"<title>found ([\w+/=]*)</title>", output)
    assert match, console
    return json.loads(base64.b64decode(match[1])), console


def narrow(page: Path, work: Path, expression: str, width: int) -> dict:
    """What an expression of `d`, the page's document, gives where the page is shown `width` pixels wide."""
    frame = work / f"{page.stem}_{width}.html"
    inner = html.escape(page.read_text(encoding="utf-8"))
    frame.write_text(f'<body><iframe srcdoc="{inner}" style="width:{width}px;height:900px;border:0"></iframe></body>')
    inside = f"(function (d) {{ return {expression}; }})(document.querySelector('iframe').contentDocument)"
    return found(frame, work, inside)[0]
