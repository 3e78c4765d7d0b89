"""stapes eval on the bundled recordings: rates, table, batches, bad manifests, bad clips."""
import csv
import json
import os
import subprocess
import tempfile
import unittest

BIN, SOURCE = os.environ["STAPES_BIN"], os.environ["STAPES_SOURCE"]
SAMPLES = os.path.join(SOURCE, "samples")
TEXT = (
    "The smallest bone in the human body sits deep inside the ear. It is shaped like a stirrup, "
    "and it carries every word that you hear."
)


class Eval(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for name in ("stapes.flac", "rain.flac"):
            os.symlink(os.path.join(SAMPLES, name), self.path(name))

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def manifest(self, text):
        with open(self.path("list.tsv"), "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return self.path("list.tsv")

    def run_eval(self, *words, code=0):
        model = ["--model", os.path.join(SOURCE, "models", "nano")]
        command = [BIN, "eval", "--progress", "none", *model, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def table(self):
        with open(self.path("out.tsv"), encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))

    def two_clips(self):
        return self.manifest(f"path\tseconds\ttext\nstapes.flac\t6.4\t{TEXT}\nrain.flac\t20\t\n")

    def test_json_and_table(self):
        words = ["--json", "--out", self.path("out.tsv"), "--tokens"]
        done = self.run_eval("--manifest", self.two_clips(), *words)
        summary, rows = json.loads(done.stdout), self.table()
        self.assertEqual(summary["clips"], 2)
        self.assertEqual(summary["failed"], 0)
        self.assertEqual(summary["empty"], 0)
        self.assertEqual(summary["words"], 26)
        parts = [summary[name] for name in ("substitutions", "deletions", "insertions")]
        self.assertAlmostEqual(summary["wer"], sum(parts) / 26)
        self.assertLessEqual(summary["wer_low"], summary["wer"])
        self.assertLess(summary["wer"], 0.9)
        self.assertEqual(summary["normalizer"], "whisper")
        self.assertAlmostEqual(summary["rtf"] * summary["speed"], 1, places=3)
        self.assertEqual([row["path"] for row in rows], ["stapes.flac", "rain.flac"])
        self.assertEqual(rows[0]["reference"], TEXT)
        self.assertEqual(rows[1]["hypothesis"], "")
        counts = [len(rows[0][name].split()) for name in ("ids", "frames", "durations")]
        self.assertGreater(counts[0], 10)
        self.assertEqual(counts, counts[:1] * 3)

    def test_batch_gives_the_same_table(self):
        tables = []
        for batch in ("1", "2"):
            words = ["--out", self.path("out.tsv"), "--tokens", "--batch", batch]
            self.run_eval("--manifest", self.two_clips(), *words)
            tables.append(self.table())
        self.assertEqual(tables[0], tables[1])

    def test_text_limit_filter(self):
        done = self.run_eval("--manifest", self.two_clips(), "--limit", "1", "--normalizer", "plain")
        self.assertIn("clips          1\n", done.stdout)
        self.assertIn("normaliser     plain\n", done.stdout)
        done = self.run_eval("--manifest", self.two_clips(), "--filter", "ra", "--json")
        self.assertEqual(json.loads(done.stdout)["words"], 0)
        done = self.run_eval("--manifest", self.two_clips(), "--filter", "none/", code=2)
        self.assertIn("no path begins with 'none/'", done.stderr)

    def test_bad_clip_is_left_out(self):
        with open(self.path("broken.wav"), "wb") as file:
            file.write(b"this is no sound")
        table = f"path\ttext\nbroken.wav\ta\nstapes.flac\t{TEXT}\nmissing.wav\tb\n"
        for batch in ("1", "3"):
            words = ["--json", "--out", self.path("out.tsv"), "--batch", batch]
            done = self.run_eval("--manifest", self.manifest(table), *words, code=5)
            summary = json.loads(done.stdout)
            self.assertEqual((summary["clips"], summary["failed"]), (3, 2))
            self.assertEqual(summary["words"], 26)
            self.assertEqual([bool(row["error"]) for row in self.table()], [True, False, True])
            self.assertIn("broken.wav", done.stderr)
            self.assertIn("missing.wav", done.stderr)

    def test_empty_text_is_an_alarm(self):
        done = self.run_eval("--manifest", self.manifest("path\ttext\nrain.flac\train\n"), "--json")
        summary = json.loads(done.stdout)
        self.assertEqual((summary["empty"], summary["wer"]), (1, 1))
        self.assertEqual(summary["alarms"], ["empty"])
        self.assertIn("gave no text", done.stderr)

    def test_bad_manifests(self):
        done = self.run_eval(code=2)
        self.assertIn("--manifest", done.stderr)
        done = self.run_eval("--manifest", self.manifest("path\nstapes.flac\n"), code=4)
        self.assertIn('no column "text"', done.stderr)
        done = self.run_eval("--manifest", self.manifest("path\ttext\na\n"), code=4)
        self.assertIn("list.tsv: line 2", done.stderr)
        done = self.run_eval("--manifest", self.path("absent.tsv"), code=1)
        self.assertIn("absent.tsv", done.stderr)
        words = ["--limit", "1", "--out"]
        self.run_eval("--manifest", self.two_clips(), *words, self.path("no/out.tsv"), code=1)
        done = self.run_eval("--manifest", self.two_clips(), *words, "/dev/full", code=1)
        self.assertIn("No space left", done.stderr)


if __name__ == "__main__":
    unittest.main()
