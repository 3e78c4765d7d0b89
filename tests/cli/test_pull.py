#!/usr/bin/env python3
"""stapes pull against a local server that misbehaves in every way a hub or a network can.

The registry is a file of the test's own (STAPES_REGISTRY), the hub a server on 127.0.0.1
(HF_ENDPOINT), so that nothing outside this machine is touched.
"""
import hashlib
import http.server
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

STAPES = os.environ.get("STAPES_BIN", "build/stapes")
BIG = bytes(range(256)) * 4096 + b"tail"  # 1 MiB and a bit: arrives in several pieces
CONFIG = b'{"architectures": ["Test"]}\n'
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def git_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    """A hub: files by name, and rules that change how a file is served."""

    def __init__(self):
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                try:
                    hub.answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # clients that go away are part of the tests

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        self.files = {"config.json": CONFIG, "model.bin": BIG}
        self.rules = {}  # file name -> function(handler, data, name) or a list used one by one
        self.requests = []
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, h):
        name = h.path.rsplit("/", 1)[1]
        self.requests.append((h.path, dict(h.headers.items())))
        rule = self.rules.get(name, plain)
        if isinstance(rule, list):
            rule = rule.pop(0) if len(rule) > 1 else rule[0]
        rule(h, self.files.get(name), name)

    def asked(self, name):
        return [r for r in self.requests if r[0].endswith("/" + name)]


# ---- ways to serve a file ---------------------------------------------------------------------


def head(h, status, headers):
    h.send_response(status)
    for key, value in headers.items():
        h.send_header(key, value)
    h.end_headers()


def hub_headers(data):
    """What the hub says about a file kept in git (small) or beside it (large)."""
    if len(data) > 100000:
        return {"X-Linked-ETag": '"%s"' % sha256(data), "X-Linked-Size": len(data),
                "ETag": '"%s"' % sha256(data), "X-Repo-Commit": COMMIT}
    return {"ETag": '"%s"' % git_id(data), "X-Repo-Commit": COMMIT}


def body_range(h, data, etag):
    """Start of the body: honours Range with If-Range."""
    wanted, condition = h.headers.get("Range"), h.headers.get("If-Range")
    if not wanted or (condition and condition != etag):
        return 0
    return int(wanted.split("=")[1].rstrip("-"))


def plain(h, data, name, extra=None, cut=None, pause=0.0, step=16384, ranges=True):
    if data is None:
        head(h, 404, {"Content-Length": 0, "X-Error-Message": "Entry not found"})
        return
    headers = hub_headers(data) | (extra or {})
    start = body_range(h, data, headers["ETag"]) if ranges else 0
    if start >= len(data):
        head(h, 416, {"Content-Length": 0})
        return
    headers["Content-Length"] = len(data) - start
    if start:
        headers["Content-Range"] = "bytes %d-%d/%d" % (start, len(data) - 1, len(data))
    head(h, 206 if start else 200, {k: v for k, v in headers.items() if v is not None})
    end = len(data) if cut is None else min(len(data), start + cut)
    for at in range(start, end, step):
        h.wfile.write(data[at:min(at + step, end)])
        if pause:
            h.wfile.flush()
            time.sleep(pause)
    if end < len(data):
        h.close_connection = True
        h.connection.shutdown(2)


def with_rule(**settings):
    return lambda h, data, name: plain(h, data, name, **settings)


def status(code, **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    return lambda h, data, name: head(h, code, {"Content-Length": 0} | headers)


def redirect(target, code=302, **headers):
    """The hub's redirect to a download server: its own headers come with it."""

    def rule(h, data, name):
        extra = hub_headers(data)
        head(h, code, extra | {"Content-Length": 0, "Location": target(h) if callable(target)
                               else target} | headers)

    return rule


# ---- the tests ----------------------------------------------------------------------------------


class PullTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="stapes-pull-")
        self.root = Path(self.folder.name)
        self.cache = self.root / "cache"
        self.hub = Hub()
        self.model = {
            "name": "toy", "aliases": ["small-toy"], "repository": "owner/toy", "revision": "main",
            "page": "https://example.org/toy", "licence": "CC0-1.0",
            "licence_url": "https://example.org/licence", "languages": ["en"], "bytes": 1048580,
            "description": "a toy", "architecture": "test", "parameters": 1,
            "files": [{"path": "config.json", "size": None, "sha256": None},
                      {"path": "model.bin", "size": None, "sha256": None},
                      {"path": "extra.json", "size": None, "sha256": None, "optional": True}],
        }

    def tearDown(self):
        self.hub.close()
        self.folder.cleanup()

    @property
    def out(self):
        return self.cache / "toy"

    def environment(self, **more):
        registry = self.root / "registry.json"
        registry.write_text(json.dumps({"format": 1, "models": [self.model]}))
        keep = {k: v for k, v in os.environ.items()
                if not k.lower().endswith("_proxy") and not k.startswith(("HF_", "HUGGING"))}
        return keep | {"STAPES_REGISTRY": str(registry), "STAPES_MODELS": str(self.cache),
                       "HF_ENDPOINT": self.hub.url, "LC_ALL": "C"} | more

    def stapes(self, *words, env=None, code=0):
        run = subprocess.run([STAPES, *words], env=self.environment(**(env or {})), text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        self.assertNotIn("Traceback", run.stderr)
        return run

    def pull(self, *words, **settings):
        return self.stapes("pull", "--retry-wait", "0.05", *(words or ("toy",)), **settings)

    def pin(self, name="model.bin", **values):
        next(f for f in self.model["files"] if f["path"] == name).update(values)

    def assert_complete(self):
        self.assertEqual((self.out / "model.bin").read_bytes(), BIG)
        self.assertEqual((self.out / "config.json").read_bytes(), CONFIG)
        record = json.loads((self.out / "stapes.lock.json").read_text())
        self.assertTrue(record["complete"])
        self.assertEqual(record["files"]["model.bin"]["sha256"], sha256(BIG))
        self.assert_nothing_left()
        return record

    def assert_nothing_left(self):
        left = [p.name for p in self.out.glob("*") if ".part" in p.name] if self.out.exists() else []
        self.assertEqual(left, [])
        self.assertFalse((self.out / ".stapes.pull").exists())

    # -- the good cases

    def test_plain(self):
        run = self.pull()
        self.assertEqual(run.stdout.strip(), str(self.out))
        self.assertIn("CC0-1.0", run.stderr)
        record = self.assert_complete()
        self.assertEqual(record["files"]["model.bin"]["check"], "hub")
        self.assertEqual(record["files"]["config.json"]["check"], "git")
        self.assertEqual(record["files"]["extra.json"], {"absent": True})
        self.assertEqual(record["commit"], COMMIT)
        self.assertIn("CC0-1.0", (self.out / "LICENCE.txt").read_text())
        # the first file names the commit; the others are taken from it
        self.assertIn("/resolve/main/", self.hub.requests[0][0])
        self.assertIn("/resolve/%s/" % COMMIT, self.hub.requests[1][0])
        # again: nothing is asked
        before = len(self.hub.requests)
        run = self.pull("small-toy")
        self.assertIn("complete already", run.stderr)
        self.assertEqual(len(self.hub.requests), before)
        self.pull("--force", "owner/toy")
        self.assertGreater(len(self.hub.requests), before)

    def test_optional_file_and_json(self):
        self.hub.files["extra.json"] = b"{}"
        answer = json.loads(self.pull("--json", "toy").stdout)
        self.assertEqual((answer["fetched"], answer["check"]), (3, "git"))
        self.assertEqual((self.out / "extra.json").read_bytes(), b"{}")

    def test_pinned(self):
        self.pin(sha256=sha256(BIG), size=len(BIG))
        self.pull()
        self.assertEqual(self.assert_complete()["files"]["model.bin"]["check"], "pinned")

    def test_mirror_and_dir(self):
        other = self.root / "other"
        self.pull("--mirror", self.hub.url + "/", "--dir", str(other), "toy",
                  env={"HF_ENDPOINT": "http://127.0.0.1:1"})
        self.assertEqual((other / "toy" / "model.bin").read_bytes(), BIG)
        self.stapes("pull", "--mirror", "ftp://x", "toy", code=2)

    def test_server_without_checksums(self):
        def rule(h, data, name):
            head(h, 200, {"Content-Length": len(data)})
            h.wfile.write(data)

        self.hub.rules = {"model.bin": rule, "config.json": rule}
        self.assertIn("only the sizes", self.pull().stderr)
        self.assertEqual(self.assert_complete()["files"]["model.bin"]["check"], "size")

    # -- broken transfers

    def test_truncated_then_resumed(self):
        self.hub.rules["model.bin"] = [with_rule(cut=300000), with_rule(cut=300000), plain]
        self.pull()
        self.assert_complete()
        asked = self.hub.asked("model.bin")
        self.assertEqual(len(asked), 3)
        self.assertNotIn("Range", asked[0][1])
        self.assertTrue(asked[1][1]["Range"].startswith("bytes="))
        self.assertEqual(asked[1][1]["If-Range"], '"%s"' % sha256(BIG))
        self.assertGreater(int(asked[2][1]["Range"][6:-1]), int(asked[1][1]["Range"][6:-1]))

    def test_truncated_for_ever(self):
        self.hub.rules["model.bin"] = [with_rule(cut=300000), with_rule(cut=0)]
        run = self.pull("--retries", "2", "toy", code=1)
        self.assertIn("model.bin", run.stderr)
        part = self.out / "model.bin.part"
        self.assertEqual(part.read_bytes(), BIG[:part.stat().st_size])
        self.assertFalse((self.out / "model.bin").exists())
        self.stapes("models", "path", "toy", code=3)
        # a later pull continues and leaves the finished file alone
        self.hub.rules = {}
        self.pull()
        self.assert_complete()
        self.assertEqual(len(self.hub.asked("config.json")), 1)
        self.assertIn("Range", self.hub.asked("model.bin")[-1][1])

    def test_resume_where_ranges_are_unknown(self):
        self.hub.rules["model.bin"] = [with_rule(cut=300000), with_rule(ranges=False)]
        self.assertIn("starting anew", self.pull().stderr)
        self.assert_complete()

    def test_changed_between(self):
        self.hub.rules["model.bin"] = with_rule(cut=300000)
        self.pull("--retries", "0", "toy", code=1)
        self.hub.files["model.bin"] = new = BIG[::-1]
        self.hub.rules = {}
        self.pull()
        self.assertEqual((self.out / "model.bin").read_bytes(), new)

    def test_changed_behind_a_redirect(self):
        store = Hub()
        self.addCleanup(store.close)
        target = store.url + "/store/model.bin"
        self.hub.rules["model.bin"] = redirect(target)
        store.rules["model.bin"] = with_rule(cut=300000)
        self.pull("--retries", "0", "toy", code=1)
        self.hub.files["model.bin"] = store.files["model.bin"] = new = BIG[::-1]
        store.rules = {}
        self.pull()
        self.assertEqual((self.out / "model.bin").read_bytes(), new)
        self.assertNotIn("Range", store.requests[-1][1])

    def test_lying_range(self):
        def rule(h, data, name):  # continues somewhere else than asked
            head(h, 206, hub_headers(data) | {"Content-Length": 10, "Content-Range":
                                              "bytes 5-14/%d" % len(data)})
            h.wfile.write(data[5:15])

        self.hub.rules["model.bin"] = [with_rule(cut=300000), rule, plain]
        self.pull()
        self.assert_complete()

    def test_spoilt_part(self):
        self.hub.rules["model.bin"] = with_rule(cut=300000)
        self.pull("--retries", "0", "toy", code=1)
        part = self.out / "model.bin.part"
        part.write_bytes(b"x" * part.stat().st_size)
        self.hub.rules = {}
        self.pull()  # the wrong hash is blamed on the part: once from the beginning
        self.assert_complete()

    def test_complete_part_never_renamed(self):
        self.pull()
        (self.out / "model.bin").rename(self.out / "model.bin.part")
        (self.out / "model.bin.part.json").write_text(json.dumps(
            {"hub_etag": sha256(BIG), "etag": '"%s"' % sha256(BIG), "size": len(BIG)}))
        self.pull()
        self.assert_complete()
        self.assertIn("Range", self.hub.requests[-1][1])

    def test_damaged_sidecar(self):
        self.hub.rules["model.bin"] = with_rule(cut=300000)
        for text in ("", "[]", '{"etag": 7, "size": -1}', '{"etag": "%s"}' % ("x" * 300)):
            self.pull("--retries", "0", "toy", code=1)
            (self.out / "model.bin.part.json").write_text(text)
        self.hub.rules = {}
        self.pull()
        self.assert_complete()

    def test_interrupt_then_resume(self):
        self.hub.rules["model.bin"] = with_rule(pause=0.05, step=8192)
        process = subprocess.Popen([STAPES, "pull", "toy"], env=self.environment(), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        part = self.out / "model.bin.part"
        deadline = time.time() + 30
        while time.time() < deadline and not (part.exists() and part.stat().st_size > 50000):
            time.sleep(0.02)
        # a second pull of the same model is refused meanwhile
        self.assertIn("another pull", self.pull(code=1).stderr)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, stderr)
        self.assertIn("continues", stderr)
        size = part.stat().st_size
        self.assertEqual(part.read_bytes(), BIG[:size])
        self.hub.rules = {}
        self.pull()
        self.assert_complete()
        self.assertEqual(self.hub.asked("model.bin")[-1][1]["Range"], "bytes=%d-" % size)

    # -- wrong content

    def test_wrong_hash(self):
        def rule(h, data, name):
            body = data[:-1] + b"!"
            head(h, 200, hub_headers(data) | {"Content-Length": len(body)})
            h.wfile.write(body)

        self.hub.rules["model.bin"] = rule
        run = self.pull(code=3)
        self.assertIn("SHA-256", run.stderr)
        self.assert_nothing_left()
        self.assertFalse((self.out / "model.bin").exists())

    def test_wrong_git_id(self):
        self.hub.rules["config.json"] = with_rule(extra={"ETag": '"%s"' % ("0" * 40)})
        self.assertIn("git id", self.pull(code=3).stderr)
        self.assertFalse((self.out / "config.json").exists())

    def test_pinned_hash_differs(self):
        self.pin(sha256="0" * 64)
        run = self.pull(code=3)
        self.assertIn("registry wants", run.stderr)
        self.assert_nothing_left()
        # the same without the hub's word: noticed at the end
        self.hub.rules["model.bin"] = with_rule(extra={"X-Linked-ETag": None})
        self.assertIn("wrong content", self.pull(code=3).stderr)
        self.assert_nothing_left()

    def test_wrong_size(self):
        self.pin(size=len(BIG) + 1)
        self.assertIn("registry wants", self.pull(code=3).stderr)
        self.assert_nothing_left()
        self.pin(size=None)
        self.hub.rules["model.bin"] = with_rule(extra={"X-Linked-Size": 77})
        self.assertIn("77 bytes", self.pull(code=3).stderr)
        self.assert_nothing_left()

    def test_no_space(self):
        size = 10 ** 16

        def rule(h, data, name):
            head(h, 200, {"Content-Length": size, "ETag": '"a"'})

        self.hub.rules["model.bin"] = rule
        run = self.pull(code=1)
        self.assertIn("GB free", run.stderr)
        self.assertFalse((self.out / "model.bin").exists())

    def test_endless_body(self):
        def rule(h, data, name):
            h.protocol_version = "HTTP/1.0"
            head(h, 200, {"X-Linked-Size": 100, "X-Linked-ETag": '"%s"' % ("1" * 64)})
            for _ in range(50):
                h.wfile.write(b"z" * 100000)
            h.close_connection = True

        self.hub.rules["model.bin"] = rule
        self.assertIn("more than the announced 100", self.pull(code=3).stderr)
        self.assert_nothing_left()

    # -- redirects and tokens

    def test_redirects(self):
        store = Hub()
        self.addCleanup(store.close)
        self.hub.rules = {
            "model.bin": redirect(store.url + "/far/model.bin?signature=a%2Bb"),
            "config.json": redirect(lambda h: "/api/cache/config.json?x=1"
                                    if "cache" not in h.path else "/x", 307),
        }
        store.rules["model.bin?signature=a%2Bb"] = lambda h, d, n: plain(
            h, BIG, n, extra={"ETag": '"store"', "X-Linked-ETag": '"%s"' % ("9" * 64),
                              "X-Linked-Size": 5, "X-Repo-Commit": "9" * 40})
        self.hub.rules["config.json?x=1"] = lambda h, d, n: plain(h, CONFIG, n)
        self.pull(env={"HF_TOKEN": "hf_secret"})
        record = self.assert_complete()
        self.assertEqual(record["commit"], COMMIT)  # not what the store says
        self.assertEqual(record["files"]["model.bin"]["check"], "hub")
        for _, headers in self.hub.requests:
            self.assertEqual(headers["Authorization"], "Bearer hf_secret")
        for _, headers in store.requests:
            self.assertNotIn("Authorization", headers)

    def test_redirect_without_end(self):
        self.hub.rules["model.bin"] = redirect(lambda h: h.path)
        self.assertIn("too many redirects", self.pull(code=1).stderr)
        self.assertEqual(len(self.hub.asked("model.bin")), 11)

    def test_redirect_elsewhere(self):
        for target in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"):
            self.hub.rules["model.bin"] = redirect(target)
            self.pull(code=1)
            self.assertFalse((self.out / "model.bin").exists())

    # -- refusals

    def test_not_found(self):
        del self.hub.files["model.bin"]
        run = self.pull(code=1)
        self.assertIn("404", run.stderr)
        self.assertIn("Entry not found", run.stderr)
        self.assertEqual(len(self.hub.asked("model.bin")), 1)  # not repeated

    def test_token_needed(self):
        self.hub.rules["config.json"] = status(401, X_Error_Message="Invalid credentials")
        run = self.pull(code=1)
        self.assertIn("HF_TOKEN", run.stderr)
        self.assertIn("Invalid credentials", run.stderr)
        self.hub.rules["config.json"] = status(403)
        run = self.pull(code=1, env={"HUGGING_FACE_HUB_TOKEN": "hf_x"})
        self.assertIn("may not read", run.stderr)
        self.assertNotIn("hf_x", run.stderr)
        run = self.pull(code=1, env={"HF_TOKEN": "two\nlines"})
        self.assertNotIn("Authorization", self.hub.requests[-1][1])

    def test_busy_then_ready(self):
        self.hub.rules["config.json"] = [status(429, Retry_After="1"), status(503), plain]
        start = time.time()
        self.pull()
        self.assertGreaterEqual(time.time() - start, 0.9)
        self.assert_complete()

    def test_broken_for_ever(self):
        self.hub.rules["config.json"] = status(500)
        run = self.pull("--retries", "2", "toy", code=1)
        self.assertIn("500", run.stderr)
        self.assertEqual(len(self.hub.asked("config.json")), 3)

    def test_nobody_there(self):
        run = self.pull(code=1, env={"HF_ENDPOINT": "http://127.0.0.1:1"})
        self.assertIn("127.0.0.1", run.stderr)
        run = self.stapes("--json", "pull", "--retry-wait", "0", "toy", code=1,
                          env={"HF_ENDPOINT": "http://127.0.0.1:1"})
        last = json.loads(run.stderr.strip().splitlines()[-1])
        self.assertEqual(last["error"]["name"], "network")

    def test_offline(self):
        for env, words in (({}, ("--offline", "toy")), ({"STAPES_OFFLINE": "1"}, ("toy",))):
            self.assertIn("switched off", self.pull(*words, env=env, code=3).stderr)
        self.assertEqual(self.hub.requests, [])
        self.pull(env={"STAPES_OFFLINE": "0"})
        self.hub.requests.clear()
        self.pull("--offline", "toy")
        (self.out / "model.bin").unlink()
        self.pull("--offline", "toy", code=3)
        self.assertEqual(self.hub.requests, [])

    def test_names(self):
        run = self.pull("tiy", code=3)
        self.assertIn("Did you mean toy", run.stderr)
        self.pull(*(["--retries", "0"]), code=2)
        self.pull("toy", "unknown-thing", code=5)
        self.assert_complete()

    def test_unwritable(self):
        blocker = self.root / "file"
        blocker.write_text("")
        run = self.pull("--dir", str(blocker), "toy", code=1)
        self.assertIn("file", run.stderr)

    # -- what the other commands say about it

    def test_models(self):
        listing = json.loads(self.stapes("models", "--json").stdout)
        states = {m["name"]: m["state"] for m in listing["models"]}
        self.assertEqual(states, {"nano": "embedded", "toy": "available"})
        self.stapes("models", "verify", "toy", code=3)
        self.pull()
        self.assertIn("installed", self.stapes("models").stdout)
        self.assertEqual(self.stapes("models", "path", "small-toy").stdout.strip(), str(self.out))
        self.assertIn(sha256(BIG), self.stapes("models", "verify").stdout)
        (self.out / "model.bin").write_bytes(BIG[:-1] + b"?")
        self.assertIn("wrong SHA-256", self.stapes("models", "verify", "toy", code=3).stdout)
        self.stapes("models", "verify", "--sizes-only", "toy")
        (self.out / "model.bin").write_bytes(BIG[:-1])
        answer = json.loads(self.stapes("models", "verify", "--json", "toy", code=3).stdout)
        self.assertEqual(answer["files"][1]["state"], "wrong size")
        (self.out / "model.bin").unlink()
        self.assertIn("missing", self.stapes("models", "verify", "toy", code=3).stdout)
        self.stapes("models", "nonsense", code=2)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main()
