#!/usr/bin/env python3
"""Compares the speed of the encoder with ONNX Runtime on the same machine in the same run.

For each number of threads one `stapes bench --interactive` process and one onnxruntime session (CPU provider,
intra_op_num_threads the same, inter_op 1, everything else as it comes) stay open, and single measurements of the two
take turns on the same number of mel frames; every second pair in reverse order. stapes is measured by the encoder's
seconds of its own clock, onnxruntime by the time of run(). The ratio is onnxruntime / stapes: above 1, stapes is
faster. ONNX files: lab/export_onnx.py. The report also has the time of one decoder step (predictor and joint) in
onnxruntime; that of stapes is the decode column of `stapes bench --audio SPEECH` divided by the tokens.

Other programs on the machine: their share of the processors is taken from /proc/stat. A pair during which it was
above --quiet is not counted and is taken again, up to --patience times as many pairs as wanted. On a machine that
is never quiet, `chrt -f 1` before the command gives both engines the processors that they use, in turn.

With --load, also the time and the peak memory (VmHWM) of opening the model in both, each in a fresh process.

  lab/bench_peers.py --stapes build/stapes --model models/nano --onnx ~/onnx/nano --json nano.json --markdown nano.md
"""
import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime

FRAMES_PER_SECOND = 100
TICK = os.sysconf("SC_CLK_TCK")


def cpu_ticks():
    """Busy and stolen processor time of the machine since it started, in seconds."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq) / TICK, steal / TICK


def process_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_rss():
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


class Watch:
    """The share of all processors that other programs (and the hypervisor) took since start()."""

    def __init__(self, pids):
        self.pids, self.cores = pids, os.cpu_count()

    def now(self):
        busy, steal = cpu_ticks()
        return time.monotonic(), busy - sum(process_seconds(p) for p in self.pids) + steal

    def start(self):
        self.began = self.now()

    def share(self):
        wall, busy = (b - a for a, b in zip(self.began, self.now()))
        return max(0.0, busy / (wall * self.cores)) if wall > 0 else 0.0


class Stapes:
    def __init__(self, program, model, threads, cpu):
        words = [program, "bench", "--interactive", "--json", "--full-attention", "--threads", str(threads),
                 "--runs", "1", "--warmup", "0", "--cpu", cpu, "--model", model]  # fmt: skip
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.head = json.loads(self.process.stdout.readline() or "null")
        if not self.head:
            sys.exit(f"{program}: did not start")

    def seconds(self, length):
        self.process.stdin.write(f"{length}\n")
        self.process.stdin.flush()
        row = json.loads(self.process.stdout.readline())
        if row["windows"] != 1:
            sys.exit(f"{length} s took {row['windows']} encoder calls")
        return row["encode"]["min"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Onnx:
    def __init__(self, path, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        began = time.monotonic()
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.load = time.monotonic() - began
        self.mels = self.session.get_inputs()[0].shape[2]
        self.random, self.inputs = np.random.default_rng(1), {}

    def seconds(self, length):
        frames = round(length * FRAMES_PER_SECOND)
        if frames not in self.inputs:
            self.inputs[frames] = self.random.standard_normal((1, frames, self.mels), dtype=np.float32)
        began = time.perf_counter()
        self.session.run(["frames"], {"features": self.inputs[frames]})
        return time.perf_counter() - began


def measure(stapes, onnx, watch, length, options):
    """One row: pairs of seconds, those during which others were busy counted apart."""
    for _ in range(options.warmup):
        stapes.seconds(length)
        onnx.seconds(length)
    pairs, disturbed, shares, gap = [], 0, [], 0.02
    while len(pairs) < options.pairs:
        time.sleep(gap)  # threads that spin after their work have gone to sleep by then
        watch.start()
        if (len(pairs) + disturbed) % 2 == 0:
            own = stapes.seconds(length)
            time.sleep(gap)
            theirs = onnx.seconds(length)
        else:
            theirs = onnx.seconds(length)
            time.sleep(gap)
            own = stapes.seconds(length)
        gap = max(0.02, 0.06 * (own + theirs))  # a real-time class is cut off above 95 % of a second
        share = watch.share()
        if share > options.quiet and disturbed < options.patience * options.pairs:
            disturbed += 1
            time.sleep(min(0.5, own + theirs))
            continue
        shares.append(share)
        pairs.append((own, theirs))
    own, theirs = zip(*pairs)
    ratios = sorted(b / a for a, b in pairs)
    return {
        "seconds": length, "mel_frames": round(length * FRAMES_PER_SECOND), "pairs": len(pairs),
        "not_counted": disturbed, "others_share": max(shares),
        "stapes": {"median": statistics.median(own), "min": min(own)},
        "onnxruntime": {"median": statistics.median(theirs), "min": min(theirs)},
        "ratio": {"median": statistics.median(ratios), "lowest": ratios[0], "highest": ratios[-1],
                  "of_minima": min(theirs) / min(own)},
        "ratios": [round(b / a, 4) for a, b in pairs],
    }  # fmt: skip


def decoder_step(folder, threads, steps=300):
    """Median seconds of one predictor and one joint call of onnxruntime, greedy choice included."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    predictor, joint = (
        onnxruntime.InferenceSession(os.path.join(folder, name), options, providers=["CPUExecutionProvider"])
        for name in ("predictor.onnx", "joint.onnx")
    )
    layers, _, width = predictor.get_inputs()[1].shape
    h = c = np.zeros((layers, 1, width), np.float32)
    frame = np.random.default_rng(1).standard_normal((1, joint.get_inputs()[0].shape[1]), dtype=np.float32)
    times = []
    for step in range(steps):
        began = time.perf_counter()
        guess, h, c = predictor.run(None, {"token": np.array([step]), "h": h, "c": c})
        joint.run(None, {"frame": frame, "guess": guess})[0].argmax()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def load_onnx(path, threads):
    """In a process of its own: what opening the model costs beyond Python and the libraries."""
    before = peak_rss()
    load = Onnx(path, threads).load
    print(json.dumps({"seconds": load, "peak_rss_bytes": peak_rss(), "before_rss_bytes": before}))


def measure_load(options, encoder):
    own, theirs = [], []
    for _ in range(3):
        words = [sys.executable, os.path.abspath(__file__), "--load-only", encoder]
        theirs.append(json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout))
        words = [options.stapes, "bench", "--json", "--lengths", "0.5", "--threads", "1", "--runs", "1",
                 "--warmup", "0", "--model", options.model]  # fmt: skip
        report = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        own.append({**report["loads"][0], "weight_bytes": report["model"]["weight_bytes"]})
    return {
        "stapes": min(own, key=lambda o: o["seconds"]),
        "onnxruntime_encoder": min(theirs, key=lambda o: o["seconds"]),
    }


def table(report):
    lines = [
        "| Threads | Audio | stapes, median (min) ms | onnxruntime, median (min) ms | Ratio, median | lowest to highest | of the minima |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        own, theirs, ratio = row["stapes"], row["onnxruntime"], row["ratio"]
        lines.append(
            f"| {row['threads']} | {row['seconds']:g} s | {1e3 * own['median']:.1f} ({1e3 * own['min']:.1f}) "
            f"| {1e3 * theirs['median']:.1f} ({1e3 * theirs['min']:.1f}) | {ratio['median']:.2f} "
            f"| {ratio['lowest']:.2f} to {ratio['highest']:.2f} | {ratio['of_minima']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stapes", default=os.path.join(here, "build", "stapes"))
    parser.add_argument("--model", default=os.path.join(here, "models", "nano"), help="folder for stapes")
    parser.add_argument("--onnx", help="folder of lab/export_onnx.py")
    parser.add_argument("--lengths", default="10,30", help="seconds of audio [10,30]")
    parser.add_argument("--threads", default="1,2", help="[1,2]")
    parser.add_argument("--cpu", default="auto", help="instruction set of stapes; onnxruntime's is its own choice")
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--quiet", type=float, default=0.1, help="share of the processors left to others [0.1]")
    parser.add_argument("--patience", type=int, default=5, help="pairs taken again at most, times --pairs [5]")
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--load-only", metavar="ONNX", help=argparse.SUPPRESS)
    parser.add_argument("--json", help="report as JSON")
    parser.add_argument("--markdown", help="table")
    options = parser.parse_args()
    if options.load_only:
        return load_onnx(options.load_only, 1)
    encoder = os.path.join(options.onnx, "encoder.onnx")
    with open(os.path.join(options.onnx, "export.json"), encoding="utf-8") as file:
        exported = json.load(file)
    report = {
        "onnxruntime": importlib.metadata.version("onnxruntime"), "onnx_encoder": exported["files"]["encoder.onnx"],
        "attention_of_export": exported["attention"], "load_average": [os.getloadavg()[0]],
        "onnxruntime_step_seconds": {}, "rows": [],
    }  # fmt: skip
    for threads in map(int, options.threads.split(",")):
        onnx = Onnx(encoder, threads)
        stapes = Stapes(options.stapes, options.model, threads, options.cpu)
        report["onnxruntime_step_seconds"][str(threads)] = decoder_step(options.onnx, threads)
        report["stapes"] = {k: v for k, v in stapes.head.items() if k not in ("rows", "loads")}
        watch = Watch([os.getpid(), stapes.process.pid])
        for length in map(float, options.lengths.split(",")):
            row = {"threads": threads, **measure(stapes, onnx, watch, length, options)}
            report["rows"].append(row)
            print(json.dumps(row), file=sys.stderr)
        stapes.close()
        del onnx
    if options.load:
        report["load"] = measure_load(options, encoder)
    report["load_average"].append(os.getloadavg()[0])
    print(table(report), end="")
    for path, text in ((options.json, json.dumps(report, indent=1) + "\n"), (options.markdown, table(report))):
        if path:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


if __name__ == "__main__":
    main()
