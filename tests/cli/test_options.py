"""Options, help, completions, and what is said about a wrong command line."""
import json
import os
import re
import shutil
import subprocess
import unittest

from support import BIN, CLIP_B, CliTest


def without_times(text):
    """JSON without what differs from run to run."""
    return re.sub(r'"(load|read|mel|encode|decode|total|rtf|speed)": [^,\n]+', "", text)


class Help(CliTest):
    def commands(self):
        listed = self.text("help").split("Commands:")[1].split("Exit codes")[0]
        return [line.split()[0] for line in listed.splitlines() if line.strip()]

    def test_overview(self):
        self.assertIn("transcribe", self.commands())
        self.assertEqual(self.text("--help"), self.text("help"))
        self.assertEqual(self.run_cli().code, 2)

    def test_every_command_has_help(self):
        for name in self.commands():
            with self.subTest(name):
                text = self.text("help", name)
                self.assertIn("usage: stapes " + name, text)
                self.assertEqual(text, self.text(name, "--help"))
                self.assertLessEqual(max(map(len, text.splitlines())), 100)

    def test_transcribe_has_examples(self):
        self.assertIn("Examples:", self.text("transcribe", "-h"))

    def test_version(self):
        self.assertRegex(self.text("--version"), r"^stapes \d+\.\d+\.\d+\n$")

    def test_man_page(self):
        page = self.text("man")
        for word in (".TH STAPES 1", "output\\-dir", ".SH EXIT STATUS", "STAPES_MODELS"):
            self.assertIn(word, page)
        if shutil.which("groff"):
            done = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-z"], input=page.encode(),
                                  stderr=subprocess.PIPE, check=True)
            self.assertEqual(done.stderr, b"")


class Completion(CliTest):
    def test_bash(self):
        script = self.text("completion", "bash")
        ask = script + """
COMP_WORDS=(stapes %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _stapes; echo "${COMPREPLY[@]}"
"""
        for words, expected in (("transcribe --form", "--format"), ("transcribe --format sr", "srt"),
                                ("complet", "completion"), ("--decoder ct", "ctc")):
            done = subprocess.run(["bash"], input=(ask % words).encode(), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, check=True, cwd=self.dir)
            self.assertEqual(done.stdout.decode().split(), [expected], words)
            self.assertEqual(done.stderr, b"")

    def test_zsh_and_fish(self):
        for shell in ("zsh", "fish"):
            script = self.text("completion", shell)
            self.assertIn("output-dir", script)
            if shutil.which(shell):
                subprocess.run([shell, "-n"], input=script.encode(), check=True)

    def test_unknown_shell(self):
        self.assert_error(self.run_cli("completion", "tcsh"), 2, "bash, zsh or fish")


class Usage(CliTest):
    def test_unknown_option_suggests(self):
        self.assert_error(self.run_cli("transcribe", "--fromat", "txt", CLIP_B), 2,
                          "unknown option '--fromat'", "'--format'")
        self.assert_error(self.run_cli("transcribe", "--xyzzy", CLIP_B), 2, "--xyzzy")
        self.assert_error(self.run_cli("transcribe", "-Z", CLIP_B), 2, "-Z")

    def test_unknown_command_suggests(self):
        self.assert_error(self.run_cli("trascribe"), 2, "'transcribe'")
        self.assert_error(self.run_cli("help", "trascribe"), 2, "'transcribe'")

    def test_values(self):
        for words, part in ((("--threads", "many"), "whole number"),
                            (("--threads", "-3"), "outside"),
                            (("--offset", "1:75"), "not a time"),
                            (("--offset", "-5"), "not a time"),
                            (("--duration", "abc"), "not a time"),
                            (("--format", "docx"), "none of"),
                            (("--format", "srtt"), "Did you mean 'srt'"),
                            (("--window", "10-x-5"), "LEFT-CHUNK-RIGHT"),
                            (("--channel", "left"), "mix, split"),
                            (("--jobs", "0"), "outside"),
                            (("--progress", "often"), "none of"),
                            (("--quiet=yes",), "takes no value"),
                            (("--rate", "8000"), "--raw"),
                            (("--skip-existing",), "--output"),
                            (("--output", "a", "--output-dir", "b"), "together")):
            with self.subTest(words):
                self.assert_error(self.run_cli("transcribe", CLIP_B, *words), 2, part)

    def test_missing_value(self):
        self.assert_error(self.run_cli("transcribe", CLIP_B, "--format"), 2, "needs a value")
        self.assert_error(self.run_cli("transcribe", CLIP_B, "--model", "--quiet"), 2,
                          "needs a value", "--quiet")

    def test_no_input(self):
        self.assert_error(self.run_cli("transcribe"), 2, "no input")
        self.assert_error(self.run_cli("-q"), 2, "no input")

    def test_json_errors(self):
        run = self.run_cli("--json", "transcribe", "nothing.wav")
        self.assertEqual(run.code, 6)
        error = json.loads(run.err)["error"]
        self.assertEqual(set(error), {"code", "name", "message", "hint", "file"})
        self.assertEqual((error["name"], error["file"]), ("audio_unreadable", "nothing.wav"))
        run = self.run_cli("transcribe", "--json", "--fromat")
        self.assertEqual((run.code, json.loads(run.err)["error"]["name"]), (2, "usage"))
        name = os.fsdecode(b'bad"\xff\n.wav')
        run = self.run_cli("--json", name)
        self.assertEqual(json.loads(run.err)["error"]["file"], 'bad"\ufffd\n.wav')

    def test_names_are_made_harmless(self):
        run = self.run_cli("transcribe", "a\033[31m.wav")
        self.assert_error(run, 6)
        self.assertNotIn("\033", run.err)

    def test_unsupported_values(self):
        self.assert_error(self.run_cli(CLIP_B, "--precision", "int8"), 4, "int8", "f32")
        self.assert_error(self.run_cli(CLIP_B, "--device", "cuda"), 4, "CPU")

    def test_options_without_effect(self):
        for words, name in ((("-bs", "5"), "--beam-size"), (("--temperature", "0.2"), "--temperature"),
                            (("--task", "translate"), "--task"), (("-tr",), "--task"),
                            (("--vad",), "--vad"), (("-owts",), "--output-words"),
                            (("--initial_prompt", "Hello"), "--prompt")):
            with self.subTest(words):
                run = self.run_cli(CLIP_B, "--duration", "0.3", *words)
                self.assert_error(run, 4, name + " has no effect", "--lenient")
        run = self.run_cli(CLIP_B, "--duration", "0.3", "-bs", "5", "--lenient")
        self.assertEqual(run.code, 0)
        self.assertIn("--beam-size has no effect", run.err)

    def test_neutral_values_are_accepted(self):
        self.text(CLIP_B, "--duration", "0.3", "-bs", "1", "--temperature", "0.0", "--task",
                  "transcribe", "--condition_on_previous_text", "False")


class Aliases(CliTest):
    def test_spellings_agree(self):
        clip = ("--timestamps", CLIP_B)
        wanted = self.text("transcribe", "--offset", "0.5", "--duration", "1.5", *clip)
        for words in (("-ot", "500", "-d", "1500"), ("--offset=0.5", "--duration=1.5"),
                      ("--offset_ms", "500", "--duration-ms", "1500"),
                      ("--offset", "00:00:00.5", "--duration", "0:01.5"),
                      ("--offset", "500ms", "--duration", "1.5s")):
            with self.subTest(words):
                self.assertEqual(self.text(*words, *clip), wanted)
        self.assertEqual(self.text("--timestamps", "-ot", "500", "-d1500", "-f", CLIP_B), wanted)

    def test_formats(self):
        base = (CLIP_B, "--duration", "1")
        for alias, name in (("-osrt", "srt"), ("-ovtt", "vtt"), ("-oj", "json"), ("-ocsv", "csv"),
                            ("-olrc", "lrc"), ("-otxt", "txt")):
            with self.subTest(alias):
                self.assertEqual(without_times(self.text(*base, alias)),
                                 without_times(self.text(*base, "--output_format", name)))

    def test_no_timestamps(self):
        base = (CLIP_B, "--duration", "1.5", "--timestamps")
        self.assertIn("-->", self.text(*base))
        self.assertNotIn("-->", self.text(*base, "-nt"))
        self.assertNotIn("-->", self.text(*base, "--no-timestamps"))

    def test_quiet(self):
        run = self.run_cli(CLIP_B, "-np", "--duration", "0.01")
        self.assertEqual((run.code, run.err), (0, ""))

    def test_file_named_like_an_option(self):
        self.wav("-odd.wav", [[0] * 800])
        run = self.run_cli("--", "-odd.wav", cwd=self.dir)
        self.assertEqual(run.code, 0, run.err)


if __name__ == "__main__":
    unittest.main()
