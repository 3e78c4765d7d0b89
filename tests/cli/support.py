"""Shared by the tests of the command: running it, and recordings made on the spot."""
import array
import os
import subprocess
import sys
import tempfile
import unittest
import wave

BIN = os.environ["STAPES_BIN"]
SOURCE = os.environ["STAPES_SOURCE"]
CLIP_A = os.path.join(SOURCE, "tests/vectors/audio/clip_a.wav")
CLIP_B = os.path.join(SOURCE, "tests/vectors/audio/clip_b.wav")


class Run:
    """What one run of the command left behind."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


class CliTest(unittest.TestCase):
    """A fresh folder and an environment of its own for every test."""

    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.dir = self._folder.name
        self.env = {k: v for k, v in os.environ.items()
                    if k not in ("STAPES_MODELS", "STAPES_REGISTRY", "NO_COLOR")}
        self.env["XDG_CACHE_HOME"] = os.path.join(self.dir, ".cache")
        # The line about better models has a test of its own; elsewhere it was shown before.
        os.makedirs(os.path.join(self.dir, ".cache/stapes"))
        self.write(".cache/stapes/models-hint-shown", b"")

    def tearDown(self):
        self._folder.cleanup()

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, data):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def read(self, *parts):
        with open(self.path(*parts), encoding="utf-8") as file:
            return file.read()

    def run_cli(self, *words, stdin=None, cwd=None, stdout=subprocess.PIPE):
        done = subprocess.run([BIN, *map(str, words)], input=stdin, stdout=stdout, timeout=300,
                              stderr=subprocess.PIPE, env=self.env, cwd=cwd,
                              stdin=subprocess.DEVNULL if stdin is None else None, check=False)
        out = (done.stdout or b"").decode("utf-8")
        return Run(done.returncode, out, done.stderr.decode("utf-8", "replace"))

    def text(self, *words, stdin=None):
        """Runs, expects success, returns standard output."""
        run = self.run_cli(*words, stdin=stdin)
        self.assertEqual(run.code, 0, run.err)
        return run.out

    def assert_error(self, run, code, *parts):
        """One line on standard error that begins with the program's name and names the parts."""
        self.assertEqual(run.code, code, run.err)
        self.assertEqual(len(run.err.splitlines()), 1, run.err)
        self.assertTrue(run.err.startswith("stapes: "), run.err)
        for part in parts:
            self.assertIn(part, run.err)

    def wav(self, name, channels, rate=16000):
        """Writes a 16-bit wav of several equally long channels of samples."""
        frames = array.array("h")
        for frame in zip(*channels):
            frames.extend(frame)
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with wave.open(path, "wb") as out:
            out.setnchannels(len(channels))
            out.setsampwidth(2)
            out.setframerate(rate)
            out.writeframes(to_little(frames))
        return path


def to_little(samples):
    if sys.byteorder == "big":
        samples = samples[:]
        samples.byteswap()
    return samples.tobytes()


def samples_of(path):
    """The 16-bit samples of a mono wav."""
    with wave.open(path) as source:
        assert source.getnchannels() == 1 and source.getsampwidth() == 2
        samples = array.array("h", source.readframes(source.getnframes()))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples
