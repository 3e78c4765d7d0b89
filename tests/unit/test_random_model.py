"""The generator of random models: full-size counts, equal bytes for equal seeds."""
import json
import os
import struct
import subprocess
import sys
import tempfile

tool = os.path.join(os.path.dirname(os.environ["STAPES_BIN"]), "tests", "random_model")
small = ["--layers", "2", "--width", "32", "--heads", "4", "--channels", "8", "--vocab", "300",
         "--hidden", "16"]


def run(*arguments):
    return subprocess.run([tool, *arguments], check=True, capture_output=True, text=True).stdout


def read(path):
    with open(path, "rb") as file:
        return file.read()


assert run("--dry-run") == "723 tensors, 627057310 elements, 2508229336 bytes\n", run("--dry-run")
with tempfile.TemporaryDirectory() as folder:
    for dtype, size in (("f32", 4), ("f16", 2), ("bf16", 2)):
        paths = [os.path.join(folder, dtype + name) for name in "ab"]
        for path in paths:
            run(*small, "--dtype", dtype, path)
        data = read(os.path.join(paths[0], "model.safetensors"))
        assert data == read(os.path.join(paths[1], "model.safetensors"))
        length, = struct.unpack("<Q", data[:8])
        header = json.loads(data[8:8 + length])
        end = max(e["data_offsets"][1] for n, e in header.items() if n != "__metadata__")
        assert end == len(data) - 8 - length
        assert header["joint.head.weight"]["shape"] == [306, 16]
        assert header["joint.head.weight"]["dtype"] == dtype.upper()
        first, last = header["decoder.embedding.weight"]["data_offsets"]
        blank = data[8 + length + last - 16 * size:8 + length + last]
        assert blank == bytes(16 * size), "the blank's row is not zero"
    tokenizer = json.load(open(os.path.join(folder, "f32a", "tokenizer.json"), encoding="utf-8"))
    assert sorted(tokenizer["model"]["vocab"].values()) == list(range(300))
    config = json.load(open(os.path.join(folder, "f32a", "config.json"), encoding="utf-8"))
    assert config["vocab_size"] == 301 and config["encoder_config"]["num_hidden_layers"] == 2
bad = subprocess.run([tool, "--width", "33", "x", "y"], capture_output=True, text=True)
assert bad.returncode == 2 and bad.stderr.startswith("usage")
sys.exit(0)
