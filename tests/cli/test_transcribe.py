"""stapes transcribe: inputs, outputs, exit codes."""
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from support import BIN, CLIP_A, CLIP_B, SOURCE, CliTest, samples_of, to_little

SAMPLES = os.path.join(SOURCE, "samples")
SHORT = ("--duration", "1.5")


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


class Inputs(CliTest):
    def test_text_of_a_clip(self):
        text = self.text(CLIP_A)
        self.assertGreater(len(text.split()), 3)
        self.assertEqual(text, self.text("transcribe", CLIP_A))

    def test_standard_input_equals_the_file(self):
        wanted = self.text(CLIP_B)
        with open(CLIP_B, "rb") as file:
            self.assertEqual(self.text("-", stdin=file.read()), wanted)
        with open(CLIP_B, "rb") as file:  # not a pipe
            done = subprocess.run([BIN, "-"], stdin=file, stdout=subprocess.PIPE, env=self.env,
                                  check=True)
            self.assertEqual(done.stdout.decode(), wanted)
        raw = to_little(samples_of(CLIP_B))
        self.assertEqual(self.text("--raw", "s16le", "-", stdin=raw), wanted)

    def test_raw_file(self):
        samples = samples_of(CLIP_B)
        path = self.write("stereo.pcm", to_little(type(samples)("h", [
            value for sample in samples for value in (0, sample)])))
        words = ("--raw", "s16le", "--channels", "2", "--channel", "1", path)
        self.assertEqual(self.text(*words), self.text(CLIP_B))

    def test_formats_of_the_samples(self):
        for name in ("stapes.flac", "lecture.mp3", "dialogue.ogg"):
            with self.subTest(name):
                self.assertTrue(self.text(os.path.join(SAMPLES, name), *SHORT).strip())

    def test_folders(self):
        shutil.copy(CLIP_B, self.path("b.wav"))
        shutil.copy(CLIP_B, self.path("a.WAV"))
        self.write("notes.txt", b"no audio")
        self.write(".hidden.wav", b"no audio")
        self.write("sub/deep/c.wav", bytes_of(CLIP_B))
        os.symlink("..", self.path("sub/up"))
        names = lambda *words: [os.path.basename(json.loads(line)["audio"]["source"]) for line in
                                self.text("--json", *SHORT, *words, self.dir).splitlines()]
        self.assertEqual(names(), ["a.WAV", "b.wav"])
        self.assertEqual(names("--recursive"), ["a.WAV", "b.wav", "c.wav"])

    def test_folder_without_recordings(self):
        self.assert_error(self.run_cli("transcribe", self.path(".cache")), 6, "no recordings")
        self.write("sub/x/none.txt", b"")
        self.assert_error(self.run_cli(self.path("sub")), 6, "--recursive")

    def test_names_that_are_not_ascii(self):
        name = "größe 音声 \u0301.wav"
        shutil.copy(CLIP_B, self.path(name))
        run = self.run_cli("-F", "json", "-o", self.path("aus gänge"), self.path(name), *SHORT)
        self.assertEqual(run.code, 0, run.err)
        made = json.loads(self.read("aus gänge", name[:-4] + ".json"))
        self.assertTrue(made["audio"]["source"].endswith(name))

    def test_offset_and_duration(self):
        run = json.loads(self.text(CLIP_A, "--json", "--offset", "1", "--duration", "2"))
        self.assertAlmostEqual(run["audio"]["duration"], 2, delta=0.01)
        for word in run["words"]:
            self.assertGreaterEqual(word["start"], 1)
            self.assertLessEqual(word["end"], 3.5)
        run = self.run_cli(CLIP_A, "--offset", "100")
        self.assertEqual((run.code, run.out), (0, ""))
        self.assertIn("no text", run.err)

    def test_channels(self):
        a, b = samples_of(CLIP_A), samples_of(CLIP_B)
        silence = [0] * 8000
        left = list(b) + [0] * len(a) + silence
        right = [0] * len(b) + silence + list(a)
        path = self.wav("call.wav", [left, right[:len(left)]])
        result = json.loads(self.text("--channel", "split", "--json", path))
        channels = [segment["channel"] for segment in result["segments"]]
        self.assertEqual(channels, sorted(channels))
        self.assertEqual(set(channels), {0, 1})
        for index, word in enumerate(result["words"]):
            words = result["segments"][word["segment"]]["words"]
            self.assertIn(word["text"], [other["text"] for other in words])
        text = self.text("--channel", "split", path)
        self.assertIn("(channel 0) ", text)
        self.assertIn("(channel 1) ", text)
        only = self.text("--channel", "1", path)
        self.assertEqual(" ".join(line.split(") ", 1)[1] for line in text.splitlines()
                                  if line.startswith("(channel 1)")), only.replace("\n", " ").strip())
        with open(path, "rb") as file:
            self.assertEqual(self.text("--channel", "split", "-", stdin=file.read()), text)
        self.assertEqual(self.run_cli("--channel", "7", path).code, 2)
        table = list(csv.DictReader(io.StringIO(self.text("--channel", "split", "-ocsv", path))))
        self.assertEqual([int(row["speaker"]) for row in table], channels)


class Outputs(CliTest):
    def test_every_format_parses(self):
        run = self.run_cli("-F", "all,jsonl", "-o", self.path("out"), CLIP_A)
        self.assertEqual((run.code, run.out), (0, ""), run.err)
        load = lambda ext: self.read("out", "clip_a." + ext)
        whole = json.loads(load("json"))
        lines = load("jsonl").splitlines()
        self.assertEqual(len(lines), 1)
        self.assertEqual(json.loads(lines[0])["text"], whole["text"])
        self.assertEqual(" ".join(load("txt").split()), whole["text"])
        clock = r"\d\d:\d\d:\d\d"
        self.assertRegex(load("srt"), rf"^1\n{clock},\d\d\d --> {clock},\d\d\d\n")
        self.assertRegex(load("vtt"), rf"^WEBVTT\n\n{clock}\.\d\d\d --> {clock}\.\d\d\d\n")
        self.assertRegex(load("lrc"), r"^\[\d\d:\d\d\.\d\d\]")
        self.assertEqual(load("tsv").splitlines()[0], "start\tend\ttext")
        rows = list(csv.DictReader(io.StringIO(load("csv"))))
        self.assertEqual(len(rows), len(whole["segments"]))
        self.assertEqual(len(load("ctm").splitlines()), len(whole["words"]))
        self.assertEqual(load("txt"), self.text(CLIP_A))

    def test_several_formats_on_standard_output(self):
        both = self.text("-F", "txt,tsv", CLIP_B, *SHORT)
        self.assertEqual(both, self.text(CLIP_B, *SHORT) + self.text("-F", "tsv", CLIP_B, *SHORT))

    def test_output_names(self):
        self.text("-of", self.path("x/one"), "-osrt", "-otxt", CLIP_B, *SHORT)
        self.assertEqual(sorted(os.listdir(self.path("x"))), ["one.srt", "one.txt"])
        self.text("--output", self.path("y/two.srt"), "-F", "srt", CLIP_B, *SHORT)
        self.assertEqual(os.listdir(self.path("y")), ["two.srt"])
        self.assert_error(self.run_cli("--output", self.path("z"), CLIP_A, CLIP_B), 2,
                          "--output-dir")

    def test_output_folder(self):
        for name in ("in/a.wav", "in/a.flac.wav", "in/sub/a.wav"):
            self.write(name, bytes_of(CLIP_B))
        self.wav("in/a.wave", [[0] * 1600])
        self.text("-q", "-r", "-o", self.path("out"), self.path("in"), *SHORT)
        made = sorted(os.path.relpath(os.path.join(folder, name), self.path("out"))
                      for folder, _, names in os.walk(self.path("out")) for name in names)
        self.assertEqual(made, ["a.flac.txt", "a.txt", "a.wave.txt", "sub/a.txt"])

    def test_existing_outputs(self):
        self.write("out/clip_b.txt", b"old")
        words = ("-o", self.path("out"), CLIP_B, *SHORT)
        run = self.run_cli(*words, "--skip-existing")
        self.assertEqual(run.code, 0)
        self.assertIn("skipped", run.err)
        self.assertEqual(self.read("out", "clip_b.txt"), "old")
        self.text(*words)
        self.assertNotEqual(self.read("out", "clip_b.txt"), "old")

    def test_the_recording_is_not_overwritten(self):
        shutil.copy(CLIP_B, self.path("clip.txt"))
        run = self.run_cli("-o", self.dir, self.path("clip.txt"), *SHORT)
        self.assert_error(run, 2, "recording itself")
        self.assertEqual(bytes_of(self.path("clip.txt")), bytes_of(CLIP_B))

    def test_json_on_standard_output_beside_files(self):
        out = self.text("--json", "-F", "srt", "-o", self.path("out"), CLIP_B, *SHORT)
        self.assertIn("text", json.loads(out))
        self.assertEqual(os.listdir(self.path("out")), ["clip_b.srt"])

    def test_full_disk(self):
        with open("/dev/full", "wb") as full:
            run = self.run_cli(CLIP_B, *SHORT, stdout=full)
        self.assert_error(run, 1, "disk is full")
        run = self.run_cli(CLIP_B, *SHORT, "--output", "/dev/full")
        self.assert_error(run, 1, "/dev/full", "Free some space")

    def test_unwritable_output(self):
        self.write("blocked", b"a file, not a folder")
        run = self.run_cli(CLIP_B, *SHORT, "-o", self.path("blocked"))
        self.assert_error(run, 1, "blocked")

    def test_broken_pipe(self):
        command = subprocess.Popen([BIN, "-F", "json", CLIP_B, *SHORT], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.env)
        command.stdout.close()
        err = command.stderr.read()
        command.stderr.close()
        self.assertEqual((command.wait(timeout=120), err), (0, b""))

    def test_timings_and_progress(self):
        run = self.run_cli(CLIP_A, CLIP_B, *SHORT, "--timings", "--progress", "plain")
        self.assertEqual(run.code, 0)
        self.assertEqual(len(re.findall(r"x real time \(RTF", run.err)), 3)
        self.assertIn("all: 3.00 s of audio", run.err)
        self.assertNotIn("\r", run.err)

    def test_hint_about_models_once(self):
        os.remove(self.path(".cache/stapes/models-hint-shown"))
        self.assertIn("stapes pull", self.run_cli(CLIP_B, *SHORT).err)
        self.assertEqual(self.run_cli(CLIP_B, *SHORT).err, "")


class BadInput(CliTest):
    def test_each_alone(self):
        empty = self.write("empty.wav", b"")
        noise = self.write("noise.mp3", bytes((i * i * 7 + i // 3) & 255 for i in range(5000)))
        words = self.write("words.wav", b"these are words, not samples\n" * 40)
        no_data = self.write("head.wav", bytes_of(CLIP_B)[:20])
        for path in (self.path("missing.wav"), empty, noise, words, no_data):
            with self.subTest(path):
                self.assert_error(self.run_cli("transcribe", path), 6, path)
        run = self.run_cli("-", stdin=b"")
        self.assert_error(run, 6, "standard input")

    def test_unreadable(self):
        path = self.write("locked.wav", bytes_of(CLIP_B))
        self.assert_error(self.run_cli(path + "/inside.wav"), 6, "inside.wav", "permissions")
        os.chmod(path, 0)
        if os.geteuid() != 0:  # root may read everything
            self.assert_error(self.run_cli(path), 6, path)

    def test_truncated_keeps_what_came_before(self):
        with open(os.path.join(SAMPLES, "stapes.flac"), "rb") as file:
            path = self.write("cut.flac", file.read()[:70000])
        run = self.run_cli(path)
        self.assert_error(run, 6, path, "cut")
        self.assertTrue(run.out.strip())

    def test_not_finite(self):
        import array
        samples = array.array("f", [0.0] * 16000)
        samples[12345] = float("nan")
        run = self.run_cli("--raw", "f32le", self.write("nan.raw", samples.tobytes()))
        self.assertEqual(run.code, 6)
        self.assertIn("12345", run.err)

    def test_odd_audio_has_a_defined_result(self):
        for name, samples in (("none", []), ("one", [1000]), ("50ms", [500] * 800),
                              ("silent", [0] * 32000), ("clipped", [32767, -32768] * 16000)):
            with self.subTest(name):
                run = self.run_cli(self.wav(name + ".wav", [samples]))
                self.assertIn(run.code, (0, 6) if name == "none" else (0,), run.err)
                if name in ("one", "50ms", "silent"):
                    self.assertEqual(run.out.strip(), "")
                    self.assertIn("no text", run.err)

    def test_the_others_are_done(self):
        bad = self.write("bad.wav", b"no audio at all")
        run = self.run_cli(CLIP_B, bad, self.path("missing.wav"), CLIP_B, *SHORT)
        self.assertEqual(run.code, 5)
        self.assertEqual(run.out, 2 * self.text(CLIP_B, *SHORT))
        self.assertEqual(len(run.err.splitlines()), 2)

    def test_models(self):
        self.assert_error(self.run_cli("-m", "no-such-model", CLIP_B), 3, "no-such-model")
        os.makedirs(self.path("m"))
        self.assertIn(self.run_cli("-m", self.path("m"), CLIP_B).code, (3, 4))
        nano = os.path.join(SOURCE, "models/nano")
        shutil.copytree(nano, self.path("cut"))
        with open(self.path("cut/model.safetensors"), "r+b") as file:
            file.truncate(100000)
        run = self.run_cli("-m", self.path("cut"), CLIP_B)
        self.assert_error(run, 3, "model.safetensors")

    def test_decoder_that_the_model_lacks(self):
        run = self.run_cli("--decoder", "rnnt", CLIP_B)
        self.assert_error(run, 4, "rnnt")


class Jobs(CliTest):
    def test_order_and_text(self):
        files = [CLIP_A, CLIP_B, self.path("missing.wav"), CLIP_A, CLIP_B]
        one = self.run_cli(*files, *SHORT, "--threads", "2")
        many = self.run_cli(*files, *SHORT, "--jobs", "3")
        self.assertEqual((one.code, many.code), (5, 5))
        self.assertEqual(one.out, many.out)
        self.assertEqual(one.err, many.err)


class Stopping(CliTest):
    def start(self, *words, stdin=None):
        return subprocess.Popen([BIN, *words], stdin=stdin, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=self.env)

    def test_interrupt_of_a_file(self):
        # three minutes of noise, so that there is something to interrupt
        seed, samples = 1, []
        for _ in range(16000):
            seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
            samples.append((seed >> 8) % 8000 - 4000)
        path = self.wav("long.wav", [samples * 180])
        command = self.start("-v", "-o", self.path("out"), path, CLIP_B)
        while b"read by" not in command.stderr.readline():
            pass
        time.sleep(0.1)
        command.send_signal(signal.SIGINT)
        _, err = command.communicate(timeout=60)
        self.assertEqual(command.returncode, 130, err)
        self.assertFalse(os.path.exists(self.path("out/long.txt")))
        self.assertIn(b"interrupted", err)

    def test_interrupt_of_a_live_input_ends_it(self):
        command = self.start("--raw", "s16le", "-", stdin=subprocess.PIPE)
        command.stdin.write(to_little(samples_of(CLIP_B)))
        command.stdin.flush()
        time.sleep(0.8)
        command.send_signal(signal.SIGTERM)
        out, err = command.communicate(timeout=60)
        self.assertEqual(command.returncode, 130, err)
        self.assertEqual(out.decode(), self.text(CLIP_B))


if __name__ == "__main__":
    unittest.main()
