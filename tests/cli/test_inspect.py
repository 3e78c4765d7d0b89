#!/usr/bin/env python3
"""stapes inspect, models and doctor on what the repository holds; nothing outside it is touched."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

STAPES = os.environ.get("STAPES_BIN", "build/stapes")
SOURCE = Path(os.environ.get("STAPES_SOURCE", Path(__file__).resolve().parents[2]))
NANO_PARAMETERS = 16795142  # models/nano/README.md


class InspectTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="stapes-inspect-")
        self.root = Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def stapes(self, *words, code=0, program=STAPES, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("STAPES_", "HF_"))}
        env |= {"STAPES_MODELS": str(self.root / "cache"), "LC_ALL": "C.UTF-8"} | more
        run = subprocess.run([program, *words], env=env, text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=120)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run

    def tree(self, *words, **more):
        return json.loads(self.stapes(*words, "--json", **more).stdout)

    def test_nano(self):
        tree = self.tree("inspect", "--tensors", "--identity")
        self.assertEqual(tree["architecture"], "fastconformer-tdt")
        self.assertEqual(tree["container"], "safetensors")
        self.assertEqual(tree["weights"]["parameters"], NANO_PARAMETERS)
        self.assertEqual(sum(tree["weights"]["by_part"].values()), NANO_PARAMETERS)
        self.assertEqual(len(tree["weights"]["list"]), tree["weights"]["tensors"])
        self.assertEqual(tree["decoder"]["durations"], [0, 1, 2, 3, 4])
        self.assertEqual(tree["tokenizer"]["pieces"], tree["decoder"]["vocabulary"])
        self.assertEqual(tree["streaming"]["mode"], "buffered windows")
        self.assertRegex(tree["identity"], "^[0-9a-f]{64}$")
        self.assertEqual(self.tree("inspect", str(SOURCE / "models/nano"), "--identity")["identity"],
                         tree["identity"])
        text = self.stapes("models", "info").stdout
        self.assertIn("fastconformer-tdt", text)
        self.assertIn(str(NANO_PARAMETERS), text)

    def test_other_containers(self):
        nemo = SOURCE / "tests/vectors/nemo/offline/tiny-tdt.nemo"
        self.assertEqual(self.tree("inspect", str(nemo))["container"], "nemo")
        for kind in ("ctc", "rnnt", "tdt"):
            tree = self.tree("inspect", str(SOURCE / "tests/vectors/parakeet" / kind / "model"))
            self.assertEqual(tree["architecture"], "fastconformer-" + kind)
            self.assertEqual(tree["decoder"]["kind"], kind)

    def test_damaged(self):
        self.stapes("inspect", str(self.root / "none"), code=3)
        copy = self.root / "copy"
        shutil.copytree(SOURCE / "tests/vectors/parakeet/tdt/model", copy)
        weights = copy / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-7])
        self.assertIn("model.safetensors", self.stapes("inspect", str(copy), code=3).stderr)
        (self.root / "text.nemo").write_text("no model at all")
        self.assertIn("text.nemo", self.stapes("inspect", str(self.root / "text.nemo"), code=4).stderr)
        config = json.loads((copy / "config.json").read_text())
        shutil.copy(SOURCE / "tests/vectors/parakeet/tdt/model/model.safetensors", weights)
        config["encoder_config"]["num_hidden_layers"] = "many"
        (copy / "config.json").write_text(json.dumps(config))
        run = self.stapes("inspect", str(copy), code=3)
        self.assertIn("num_hidden_layers", run.stderr)
        self.assertIn("weights", run.stdout)  # what could be read is still shown

    def test_names(self):
        self.assertIn("stapes pull parakeet-tdt-0.6b-v3",
                      self.stapes("inspect", "v3", code=3).stderr)
        self.assertIn("Did you mean", self.stapes("inspect", "parakeet-tdt-0.6v3", code=3).stderr)

    def test_models(self):
        cache = self.root / "cache"
        shutil.copytree(SOURCE / "tests/vectors/parakeet/tdt/model", cache / "mine")
        shutil.copy(SOURCE / "tests/vectors/nemo/offline/tiny-tdt.nemo", cache / "other.nemo")
        (cache / "parakeet-ctc-0.6b").mkdir()
        rows = {row["name"]: row for row in self.tree("models")["models"]}
        self.assertEqual(rows["nano"]["state"], "embedded")
        self.assertEqual(rows["mine"]["state"], "installed")
        self.assertEqual(rows["other"]["state"], "installed")
        self.assertEqual(rows["parakeet-ctc-0.6b"]["state"], "partial")
        self.assertEqual(rows["parakeet-tdt-0.6b-v3"]["state"], "available")
        self.assertTrue(rows["parakeet-tdt-0.6b-v3"]["suggested"])
        self.assertEqual(self.stapes("model", "path", "other").stdout.strip(),
                         str(cache / "other.nemo"))
        self.assertEqual(self.tree("inspect", "mine")["path"], str(cache / "mine"))

    def test_doctor(self):
        report = self.tree("doctor")
        states = {row["check"]: row["state"] for row in report["findings"]}
        self.assertTrue(report["ok"])
        for check in ("embedded model", "test decode", "model cache", "libsndfile"):
            self.assertEqual(states[check], "ok", check)
        text = self.stapes("doctor", HF_TOKEN="hf_secret", https_proxy="http://me:pw@h:1").stdout
        self.assertIn("HF_TOKEN=(set)", text)
        self.assertNotIn("hf_secret", text)
        self.assertNotIn("pw@", text)

    def test_doctor_finds_fault(self):
        bad = self.root / "registry.json"
        bad.write_text("{")
        report = self.tree("doctor", code=1, STAPES_REGISTRY=str(bad))
        self.assertFalse(report["ok"])
        self.assertEqual([r["check"] for r in report["findings"] if r["state"] == "bad"],
                         ["registry"])

    def test_moved_installation(self):
        """The model is found relative to the program, wherever the prefix is."""
        prefix = self.root / "prefix"
        (prefix / "bin").mkdir(parents=True)
        shutil.copy(STAPES, prefix / "bin" / "stapes")
        shutil.copytree(SOURCE / "models/nano", prefix / "share/stapes/models/nano")
        run = self.stapes("models", "path", program=str(prefix / "bin/stapes"))
        self.assertEqual(run.stdout.strip(), str(prefix / "share/stapes/models/nano"))


if __name__ == "__main__":
    unittest.main()
