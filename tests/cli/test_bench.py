#!/usr/bin/env python3
"""stapes bench: the JSON has every field that its readers rely on, the table says the same, wrong
options are refused, and another program can take turns with it."""
import json
import os
import subprocess
import unittest

STAPES = os.environ.get("STAPES_BIN", "build/stapes")
SOURCE = os.environ.get("STAPES_SOURCE", ".")
STAGES = ("mel", "encode", "decode", "total")


def bench(*words, **options):
    return subprocess.run(
        [STAPES, "bench", *words], capture_output=True, text=True, timeout=120, **options
    )


class Json(unittest.TestCase):
    def check_head(self, report):
        for key in ("version", "commit", "isa", "cpu_option", "attention", "audio"):
            self.assertIsInstance(report[key], str, key)
        self.assertRegex(report["version"], r"^\d+\.\d+\.\d+$")
        self.assertIn(report["isa"], ("c", "avx2", "avx512", "neon"))
        self.assertTrue(report["machine"]["cpu"])
        self.assertGreaterEqual(report["machine"]["cores"], 1)
        model = report["model"]
        self.assertEqual(model["name"], "nano")
        self.assertEqual(model["architecture"], "fastconformer-tdt")
        self.assertEqual(model["precision"], "f32")
        self.assertGreater(model["parameters"], 10**7)
        self.assertGreater(model["weight_bytes"], 10**7)

    def check_row(self, row, threads, seconds, runs):
        self.assertEqual((row["threads"], row["seconds"], row["runs"]), (threads, seconds, runs))
        self.assertGreaterEqual(row["windows"], 1)
        self.assertGreaterEqual(row["tokens"], 0)
        for stage in STAGES:
            self.assertGreater(row[stage]["min"], 0, stage)
            self.assertGreaterEqual(row[stage]["median"], row[stage]["min"], stage)
        self.assertGreater(row["total"]["min"], row["encode"]["min"])
        self.assertAlmostEqual(row["rtf"] * seconds, row["total"]["median"], places=6)
        self.assertAlmostEqual(row["rtf"] * row["speed"], 1, places=6)

    def test_lengths_and_threads(self):
        done = bench("--json", "--lengths", "0.5,1", "--thread-counts", "1,2", "-n", "2")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        report = json.loads(done.stdout)
        self.check_head(report)
        self.assertEqual((report["runs"], report["warmup"]), (2, 1))
        self.assertEqual((report["audio"], report["attention"]), ("generated", "auto"))
        self.assertEqual([load["threads"] for load in report["loads"]], [1, 2])
        for load in report["loads"]:
            self.assertGreater(load["seconds"], 0)
            self.assertGreaterEqual(report["peak_rss_bytes"], load["peak_rss_bytes"])
        wanted = [(1, 0.5), (1, 1.0), (2, 0.5), (2, 1.0)]
        self.assertEqual(len(report["rows"]), len(wanted))
        for row, (threads, seconds) in zip(report["rows"], wanted):
            self.check_row(row, threads, seconds, 2)

    def test_recording_plain_c(self):
        sample = os.path.join(SOURCE, "samples", "stapes.flac")
        done = bench("--json", "--lengths", "2", "--threads", "1", "--runs=1", "--warmup=0",
                     "--cpu", "none", "--audio", sample, "--full-attention")  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual((report["isa"], report["cpu_option"]), ("c", "none"))
        self.assertEqual((report["audio"], report["attention"]), (sample, "full"))
        self.check_row(report["rows"][0], 1, 2.0, 1)
        self.assertEqual(report["rows"][0]["windows"], 1)
        self.assertGreater(report["rows"][0]["tokens"], 0)

    def test_turns(self):
        done = bench("--interactive", "--json", "-t", "1", "-n", "1", input="0.5\n1\n0.5\n")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.check_head(lines[0])
        self.assertEqual(len(lines), 4)
        for row, seconds in zip(lines[1:], (0.5, 1.0, 0.5)):
            self.check_row(row, 1, seconds, 1)


class Text(unittest.TestCase):
    def test_table(self):
        done = bench("--lengths", "0.5", "-t", "1", "-n", "1")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for word in ("nano", "encode", "decode", "speed", "peak memory", "0.5 s"):
            self.assertIn(word, done.stdout)

    def test_refusals(self):
        cases = [
            (2, "--lengths", "5,x"),
            (2, "--lengths", ""),
            (2, "--lengths", "0"),
            (2, "--lengths", "5,"),
            (2, "--thread-counts", "0"),
            (2, "--thread-counts", "1", "--threads", "2"),
            (2, "--interactive", "--thread-counts", "1,2"),
            (2, "--runs", "0"),
            (2, "recording.wav"),
            (4, "--precision", "int8"),
            (3, "--model", "/nowhere/at/all"),
            (6, "--audio", "/nowhere/at/all.wav", "--lengths", "1", "-t", "1"),
        ]
        for code, *words in cases:
            done = bench(*words)
            self.assertEqual((done.returncode, done.stdout), (code, ""), words)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertTrue(done.stderr.startswith("stapes: "), done.stderr)

    def test_bad_request(self):
        done = bench("--interactive", "-t", "1", "-n", "1", input="soon\n")
        self.assertEqual(done.returncode, 2)
        self.assertIn("'soon'", done.stderr)


if __name__ == "__main__":
    unittest.main()
