# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page of `tern watch`: what it answers, to whom, in which form; and in Chromium, where that is there. Prints TAP.

usage: page.py TERN [FOLDER]            (FOLDER: pictures of the views are put there)
"""
import html.parser
import json
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import axe
from watching import ROOT, Watch, camera, finish, patience, plan, point, ports, until
from webdriver import MISSING, Browser

tern = sys.argv[1]
pictures = sys.argv[2] if len(sys.argv) > 2 else None
HOSTILE = "<script>alert(1)</script>\"'&amp; <img src=x onerror=alert(2)>"
VIEWS = ("/", "/history", "/review", "/health")
VOID = {"meta", "link", "img", "input", "br", "path"}


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


class Client:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(NoRedirect)

    def get(self, path, data=None, **headers):
        """Status, headers and body."""
        data = urllib.parse.urlencode(data).encode() if data else None
        request = urllib.request.Request(self.base + path, data, {k.replace("_", "-"): v for k, v in headers.items()})
        try:
            answer = self.opener.open(request, timeout=patience(120))
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.headers, answer.read()

    def text(self, path):
        return self.get(path)[2].decode()


class Checker(html.parser.HTMLParser):
    """What is wrong with a view, and its text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong, self.words, self.ids, self.headings, self.tags = [], [], [], set(), [], []
        self.feed(text)
        self.wrong += [f"<{tag}> stays open" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag not in VOID:
            self.open.append(tag)
        self.wrong += [f"{tag} has {name}" for name in attrs if name == "style" or name.startswith("on")]
        if attrs.get("id") in self.ids:
            self.wrong.append(f"id {attrs['id']} twice")
        if "id" in attrs:
            self.ids.add(attrs["id"])
        if tag == "img" and "alt" not in attrs:
            self.wrong.append("a picture without words")
        if tag in ("input", "select") and attrs.get("type") != "hidden" and "label" not in self.open and "aria-label" not in attrs:
            self.wrong.append(f"{tag} {attrs} without a label")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag == "script" and self.open[-1:] == ["script"] or self.open[-1:] == [tag]:
            self.open.pop()
        else:
            self.wrong.append(f"</{tag}> closes {self.open[-1:]}")

    def handle_data(self, data):
        if self.open[-1:] == ["script"] and data.strip():
            self.wrong.append("a script in the page")
        self.words.append(data)

    def text(self):
        return " ".join("".join(self.words).split())


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [c / 12.92 if c <= .03928 else ((c + .055) / 1.055) ** 2.4 for c in parts]
    return .2126 * parts[0] + .7152 * parts[1] + .0722 * parts[2]


def contrasts():
    """Of WCAG 2, in both schemes: every colour of text on every ground."""
    style = (ROOT / "watch/page.css").read_text()
    found = {}
    for scheme, block in zip(("light", "dark"), re.findall(r":root \{(.*?)\}", style, re.S)):
        colours = dict(re.findall(r"--(\w+): (#\w{6})", block))
        for ink in ("ink", "accent", "good", "bad"):
            for ground in ("paper", "soft"):
                a, b = sorted((luminance(colours[ink]), luminance(colours[ground])))
                found[scheme, ink, ground] = (b + .05) / (a + .05)
    return found


def insert(watch, number, text, camera_name="porch", abstained=0):
    connection = sqlite3.connect(watch.memory, timeout=patience(60))
    cursor = connection.execute(
        "INSERT INTO result (run, camera, number, start, end, kind, text, confidence, abstained, fresh, tags) "
        "VALUES (99, ?, ?, ?, ?, 'caption', ?, .5, ?, 1, ?)",
        (camera_name, number, 1700000000_000000 + number * 4000000, 1700000004_000000 + number * 4000000, text, abstained,
         f"c{camera_name.encode().hex()}0"))
    connection.commit()
    connection.close()
    return cursor.lastrowid


def answers(watch, client):
    views = {path: client.get(path) for path in VIEWS}
    point(all(status == 200 for status, *_ in views.values()), "all views are there", {p: v[0] for p, v in views.items()})
    policies = {headers["Content-Security-Policy"] for _, headers, _ in views.values()}
    point(len(policies) == 1 and "default-src 'none'" in min(policies) and "unsafe" not in min(policies),
          "with a policy that lets nothing in from elsewhere", policies)
    insert(watch, 1, HOSTILE, abstained=1)
    for number in range(2, 102):
        insert(watch, number, f"zebra{number} beside a door", "yard" if number % 2 else "porch")
    checked = {path: Checker(client.text(path)) for path in (*VIEWS, "/history?q=zebra*", "/history?q=%22%3E%3Cb%3E&camera=x%22",
                                                             "/history?day=2023-11-14", "/history?q=...")}
    wrong = {path: c.wrong for path, c in checked.items() if c.wrong}
    point(not wrong, "they are whole HTML, without scripts or styles inside, and all has its label", wrong)
    point(HOSTILE in Checker(client.text("/review")).text(), "what cameras saw is text, whatever it is",
          client.text("/review")[:2000])
    point(all(c.headings[:1] == [1] and c.headings.count(1) == 1 and all(b - a <= 1 for a, b in zip(c.headings, c.headings[1:]))
              for c in checked.values()), "headings are in order", {p: c.headings for p, c in checked.items()})
    low = {key: round(value, 2) for key, value in contrasts().items() if value < 4.5}
    point(not low and len(contrasts()) == 16, "text stands out from its ground, in light and in dark", low)


def finds(watch, client):
    def hits(query):
        return re.findall(r"<p>([^<]*zebra\d+[^<]*)</p>", client.text("/history?" + query))

    point(hits("q=zebra42") == ["zebra42 beside a door"], "a search finds", hits("q=zebra42"))
    point(hits("q=zebra42&camera=yard") == [] and hits("q=zebra43&camera=yard") == ["zebra43 beside a door"], "in one camera")
    seen, path, pages = [], "camera=porch&day=2023-11-14", 0
    while path and pages < 10:
        text = client.text("/history?" + path)
        seen += re.findall(r"zebra(\d+) beside", text)
        link = re.search(r'href="/history\?([^"]*before=\d+)"', text)
        path, pages = link and link.group(1).replace("&amp;", "&"), pages + 1
    point([int(n) for n in seen] == list(range(100, 0, -2)) and pages == 2, "a day's windows, the newest first, page by page", seen)
    hours = re.findall(r'href="/history\?([^"]*hour=(\d+))"[^>]*>\d+:00 <small>\((\d+)\)', client.text("/history?day=2023-11-14"))
    point(len(hours) == 1 and hours[0][2] == "101", "and how many each hour has", hours)
    point("Nothing." in client.text("/history?q=nosuchword"), "nothing is said to be nothing")


def unseen(watch, client):
    """What nobody looked at shows beside what was seen."""
    connection = sqlite3.connect(watch.memory, timeout=patience(60))
    day = 1700006400            # 2023-11-15T00:00Z
    connection.executemany("INSERT INTO unseen (run, camera, start, end, time, reason, windows) VALUES (99, ?1, ?2, ?3, ?3 - "
                           "?2, ?4, ?5)", [
        ("porch", (day + 12 * 3600) * 1000000, (day + 12 * 3600 + 130) * 1000000, "overload", 32),
        ("porch", (day + 12 * 3600 + 600) * 1000000, (day + 12 * 3600 + 645) * 1000000, "away", 11),
        ("gone", int((time.time() - 60) * 1e6), int((time.time() - 50) * 1e6), "away", 2)])
    connection.commit()
    connection.close()
    text = Checker(client.text("/history?camera=porch&day=2023-11-15")).text()
    point("2 min 55 s not looked at" in text, "an hour in which nobody looked is there, with how long", text)
    point("porch there was more to look at than this machine can" in text and "2 min 10 s 32" in text
          and "porch the camera sent no pictures" in text and "45 s 11" in text, "with its reasons, times and windows", text)
    text = Checker(client.text("/history?camera=porch&q=nosuchword")).text()
    point("Nothing." in text and "2 min 10 s 32" in text, "where nothing is found it says how much was not looked at", text)
    text = Checker(client.text("/health")).text()
    point("Not looked at in the last 24 hours" in text and "gone the camera sent no pictures" in text,
          "health has that of the last day", text)
    status, headers, body = client.get("/metrics")
    metrics = body.decode()
    point(status == 200 and headers["Content-Type"].startswith("text/plain") and
          re.search(r'^tern_watch_windows_total\{camera="porch",outcome="new"\} [1-9]', metrics, re.M) and
          'tern_watch_unseen_windows_total{camera="porch",reason="overload"} 0' in metrics and
          'tern_watch_unseen_seconds_total{camera="yard",reason="away"} 0' in metrics, "there are metrics", status, metrics)
    if shutil.which("promtool"):
        run = subprocess.run(["promtool", "check", "metrics"], input=metrics, text=True, capture_output=True)
        point(run.returncode == 0, "promtool likes them", run.stdout, run.stderr)
    else:
        point(True, "promtool likes them", skip="promtool is not installed")


def guards(watch, client):
    status, headers, body = client.get("/picture?id=1")
    point(status == 200 and headers["Content-Type"] == "image/jpeg" and body[:2] == b"\xff\xd8", "a picture is a picture", status)
    refused = {path: client.get(path)[0] for path in ("/picture?id=999999", "/picture?id=x", "/picture", "/m.db", "/../m.db",
                                                      "/page.css/../../w.conf")}
    point(set(refused.values()) == {404}, "and what is none is not there", refused)
    foreign = {"another host": client.get("/", Host="evil.example")[0],
               "another origin": client.get("/review", {"id": 1, "right": 1}, Origin="http://evil.example")[0]}
    point(set(foreign.values()) == {403}, "other sites' pages get nothing", foreign)
    bad = {str(data): client.get("/review", data)[0] for data in ({"id": "x", "right": 1}, {"id": 1}, {"right": 1},
                                                                  {"id": 1, "right": 2}, {"id": -1, "right": 1})}
    point(set(bad.values()) == {400}, "a verdict that is none is refused", bad)
    status = client.get("/review", {"id": "1", "right": "1", "more": "x" * 10000})[0]
    point(status == 413, "and so is a long one", status)
    number = insert(watch, 500, "a thing that may be a parcel", abstained=1)
    before = "may be a parcel" in client.text("/review")
    status, headers, _ = client.get("/review", {"id": number, "right": "0"})
    point(before and status == 303 and headers["Location"] == "/review" and "may be a parcel" not in client.text("/review")
          and watch.rows(f"SELECT verdict FROM result WHERE id = {number}") == [(0,)],
          "what is judged is kept, and is no longer asked", status)


def events(watch, client):
    with urllib.request.urlopen(client.base + "/events", timeout=patience(120)) as stream:
        kinds, data = set(), {}
        while not {"result", "counts"} <= kinds:
            line = stream.readline().decode().strip()
            if line.startswith("event: "):
                kind = line[7:]
                kinds.add(kind)
                data[kind] = json.loads(stream.readline().decode().removeprefix("data: "))
    point(data["result"]["camera"] in ("porch", "yard") and data["result"]["result"] and "windows since" in data["counts"]["porch"],
          "what happens is told", data)
    status = client.get(f"/picture?id={data['result'].get('picture', 1)}")[0]
    point(status == 200, "with its picture", data)


def named(node):
    return (node.get("name") or {}).get("value", "").strip()


def driven(watch, client, text):
    browser = Browser()
    try:
        browse(watch, client, text, browser)
    finally:
        browser.close()


def shoot(browser, name):
    if pictures:
        browser.picture(f"{pictures}/{name}.png")


def browse(watch, client, text, browser):
    browser.open(client.base + "/")
    until(lambda: browser.text("#live") == "Live", "the page to be live")
    browser.run("window.mark = 1")
    time = browser.text("[data-camera=porch] time")
    until(lambda: browser.text("[data-camera=porch] time") != time, "a caption that comes")
    point(browser.run("return window.mark") == 1, "captions come by themselves")
    loaded = until(lambda: browser.run("const i = document.querySelector('[data-camera=porch] img'); return i.complete && "
                                       "i.naturalWidth"),
                   "a picture")
    point(loaded == 320, "with their pictures", loaded)
    until(lambda: browser.run("return document.querySelectorAll('[data-camera=yard] meter').length") == 2, "bars of labels")
    point(True, "labels have bars")
    shoot(browser, "now")
    browser.open(client.base + "/history")
    browser.run("document.querySelector('[name=q]').value = 'zebra42'; document.querySelector('form').requestSubmit()")
    until(lambda: "zebra42 beside" in (browser.text("main") or ""), "what is searched for")
    point(browser.run("return document.querySelectorAll('.hits li').length") == 1, "a search finds it alone")
    browser.run("document.querySelector('[name=camera]').value = 'yard'; document.querySelector('form').requestSubmit()")
    until(lambda: "Nothing." in (browser.text("main") or ""), "the filter")
    point(True, "a filter leaves the rest out")
    shoot(browser, "history")
    number = insert(watch, 600, "perhaps a heron", abstained=1)
    browser.open(client.base + "/review")
    browser.run(f"document.querySelector('#r{number} button').click()")
    until(lambda: browser.run(f"return document.readyState == 'complete' && !document.querySelector('#r{number}')"), "the verdict")
    point(watch.rows(f"SELECT verdict FROM result WHERE id = {number}") == [(1,)], "what is judged leaves the queue")
    shoot(browser, "review")
    browser.open(client.base + "/health")
    point(browser.run("return document.querySelectorAll('svg path').length") >= 2, "health is drawn")
    cells = browser.run("return [...document.querySelectorAll('table:not(.unseen) tbody td')].map((e) => e.textContent)")
    point(len(cells) == 18 and all(re.fullmatch(r"-|\d{1,9}|(Not c|C)onnected", c) for c in cells), "and told in numbers", cells)
    shoot(browser, "health")
    reachable(client, browser)
    fits(client, browser)
    accessible(client, browser)
    complaints = [c for c in browser.complaints() if "404" not in c]
    point(not complaints, "the browser has nothing to complain of", complaints)
    browser.open(client.base + "/")
    until(lambda: browser.text("#live") == "Live", "the page to be live")
    watch.end()
    until(lambda: browser.text("#live").startswith("Not connected"), "the loss")
    watch.start()
    until(lambda: browser.text("#live") == "Live", "the return")
    point(True, "after a restart it is live again by itself")


def reachable(client, browser):
    """What a screen reader and a keyboard have of it."""
    nameless = {}
    for path in VIEWS:
        browser.open(client.base + path)
        nodes = browser.cdp("Accessibility.getFullAXTree")["nodes"]
        nameless[path] = [node["role"]["value"] for node in nodes if not node.get("ignored")
                          and node.get("role", {}).get("value") in
                          ("button", "link", "textbox", "searchbox", "combobox", "image", "meter", "region", "navigation")
                          and not named(node)]
    point(not any(nameless.values()), "all that is there has a name for who does not see it", nameless)
    browser.open(client.base + "/history")
    focused = []
    for _ in range(12):
        browser.cdp("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        browser.cdp("Input.dispatchKeyEvent", type="keyUp", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        focused.append(browser.run("const e = document.activeElement; return e.name || e.textContent.trim()"))
    point(focused[0] == "To the content" and [f for f in focused if f in ("q", "camera", "label", "day", "Search")][:4]
          == ["q", "camera", "label", "day"], "all of it is reached by keys, in order", focused)


def accessible(client, browser):
    """By axe-core, in both schemes and on a phone."""
    text, why = axe.source()
    if not text:
        point(True, "axe-core finds nothing serious", skip=why)
        return
    severe, slight, kept = {}, set(), []
    for scheme in ("light", "dark", "phone"):
        browser.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        if scheme == "phone":
            browser.cdp("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
        for path in (*VIEWS, "/history?q=zebra*", "/history?day=2023-11-14", "/history?q=nosuchword"):
            browser.open(client.base + path)
            passed, found = axe.findings(browser, text)
            kept.append(passed)
            slight |= {f"{f['id']} ({f['impact']})" for f in found if f["impact"] not in axe.SEVERE}
            if serious := [f for f in found if f["impact"] in axe.SEVERE]:
                severe[scheme, path] = serious
    browser.cdp("Emulation.clearDeviceMetricsOverride")
    browser.cdp("Emulation.setEmulatedMedia", features=[])
    print(f"# axe-core: {min(kept)} to {max(kept)} rules are kept; of less weight:", *sorted(slight) or ["none"])
    point(not severe and min(kept) >= 15, "axe-core finds nothing serious", severe, kept)


def fits(client, browser):
    wide = {}
    browser.cdp("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    for path in VIEWS:
        browser.open(client.base + path)
        wide[path] = browser.run("return document.documentElement.scrollWidth")
    shoot(browser, "phone")
    point(max(wide.values()) <= 360, "it fits on a phone", wide)
    browser.cdp("Emulation.clearDeviceMetricsOverride")
    grounds = []
    for scheme in ("light", "dark"):
        browser.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.open(client.base + "/")
        grounds.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    shoot(browser, "dark")
    point(grounds == ["rgb(255, 255, 255)", "rgb(20, 23, 27)"], "it is light or dark, as one likes", grounds)


def beyond(folder):
    watch = Watch(tern, folder, camera(), "page=0.0.0.0:0")
    run = subprocess.run([tern, "watch", "--check", "--config", watch.config], capture_output=True, text=True, env=watch.env)
    point((run.returncode, watch.run()) == (2, 2) and all("page: expected an address of this machine alone" in words
          and "--" not in words for words in (run.stderr, watch.words())), "it is not for other machines", run.stderr,
          watch.words())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        watch.configure(camera(), f"page=127.0.0.1:{taken.getsockname()[1]}")
        point(watch.run() == 1 and "page 127.0.0.1:" in watch.words() and "an address that is free" in watch.words(),
              "nor where somebody is", watch.words())
    watch.configure(camera(more="repeat=true"))
    try:
        watch.start()
        until(watch.count, "a window")
        watch.configure(camera(more="repeat=true"), f"page=127.0.0.1:{ports.port()}")
        watch.process.send_signal(signal.SIGHUP)
        until(lambda: "read again" in watch.words(), "the reload")
        point("page are others now" in watch.words(), "a page that comes later comes with the next start, and that is said",
              watch.words())
    finally:
        finish(watch)


with tempfile.TemporaryDirectory(prefix="tern-page-") as place:
    port = ports.port()
    cameras = camera("porch", "repeat=true") + camera("yard", "repeat=true\nlabels=yes;no\nmin-confidence=1")
    # What the tests put in is years old: it must not be forgotten while they run.
    watching = Watch(tern, place, cameras, f"keep=36500d\npage=127.0.0.1:{port}")
    watching.env["TZ"] = "UTC"          # days and hours are those of where one is
    try:
        watching.start()
        until(lambda: watching.count() >= 4, "windows")
        person = Client(port)
        for test in (answers, finds, unseen, guards, events):
            test(watching, person)
        if MISSING:
            point(True, "the page in Chromium", skip=f"no {MISSING[0]}")
        else:
            driven(watching, person, cameras)
    except (TimeoutError, OSError, KeyError) as error:
        point(False, "comes to its end", repr(error), watching.words())
    finally:
        finish(watching)
def over(folder):
    """What is not to come back is not said to be without a connection."""
    path, port = f"{folder}/text.mp4", ports.port()
    with open(path, "w") as text:
        text.write("no video\n" * 99)
    watch = Watch(tern, folder, camera("porch", "repeat=true") + camera("once") + camera("none", source=path),
                  f"page=127.0.0.1:{port}")
    try:
        watch.start()
        client, seen = Client(port), {}
        until(lambda: watch.count() >= 4, "windows")

        def all_are():
            seen.update(re.findall(r'data-camera="(\w+)".*?class="counts">([^.]*)\.', client.text("/"), re.S))
            return seen == {"porch": "Connected", "once": "Watched to its end", "none": "Given up"}
        until(all_are, "what is over to be said so")
        point(True, "a file that is over, and one that is none, are told from a camera that is away")
    except (TimeoutError, OSError) as error:
        point(False, "a file that is over, and one that is none, are told from a camera that is away", repr(error), seen,
              watch.words())
    finally:
        finish(watch)


with tempfile.TemporaryDirectory(prefix="tern-page-") as place:
    beyond(place)
with tempfile.TemporaryDirectory(prefix="tern-page-") as place:
    over(place)
plan()
