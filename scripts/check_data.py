#!/usr/bin/env python3
"""Compares `stapes eval --tokens` on real speech with the token sequences kept in tests/data-reference.

The references are transformers' greedy decode of models/nano in float32 (lab/reference_tokens.py).
Passes when at least 99.5 % of the clips give the same tokens, every difference starts at a decision
whose margin is below --margin, the text of every identical clip is the reference's, no clip is empty or
failed, and the word error rate is within 0.1 point. Needs the recordings (not in the repository):
$STAPES_DATA or --data, a folder with manifest.tsv. Python's standard library is enough.

Exit: 0 passed, 1 failed, 2 something is missing.
"""
import argparse
import csv
import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARE, POINTS = 99.5, 0.1


def missing(message):
    print(f"check_data: {message}", file=sys.stderr)
    sys.exit(2)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default_data = os.environ.get("STAPES_DATA") or os.path.join(ROOT, "..", "shared", "data")
    default_bin = os.environ.get("STAPES_BIN") or os.path.join(ROOT, "build", "stapes")
    parser.add_argument("--data", default=default_data, help="folder of manifest.tsv [$STAPES_DATA]")
    parser.add_argument("--stapes", default=default_bin, help="the command [build/stapes]")
    parser.add_argument("--model", default=os.path.join(ROOT, "models", "nano"))
    parser.add_argument("--set", action="append", help="librispeech, ljspeech, ... [all]")
    parser.add_argument("--subset", type=int, default=0, help="about N clips of each set, evenly spread")
    parser.add_argument("--margin", type=float, default=0.005, help="largest margin of a difference [0.005]")
    parser.add_argument("--options", default="", help='more options for eval, as "--cpu none --batch 2"')
    return parser.parse_args()


def read_reference(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return lines[0]["meta"], lines[1:]


def read_table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def run_eval(options, clips, texts, folder):
    """Rows of eval's table for the clips, in order."""
    manifest, table = os.path.join(folder, "clips.tsv"), os.path.join(folder, "out.tsv")
    with open(manifest, "w", encoding="utf-8") as file:
        file.write("path\tseconds\ttext\n")
        for clip in clips:
            place = os.path.abspath(os.path.join(options.data, clip["path"]))
            file.write(f"{place}\t{clip['seconds']:.3f}\t{texts[clip['path']]}\n")
    command = [options.stapes, "eval", "--manifest", manifest, "--model", options.model, "--json"]
    command += ["--out", table, "--tokens", "--normalizer", "whisper"] + options.options.split()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 5):
        missing(f"'{' '.join(command)}' ended with code {done.returncode}")
    return json.loads(done.stdout), read_table(table)


def first_difference(own, reference):
    for place, (a, b) in enumerate(zip(own, reference)):
        if a != b:
            return place
    return min(len(own), len(reference))


def compare_clip(clip, row, limit):
    """'' when equal, otherwise one line; and whether the difference is explained."""
    if row["error"]:
        return f"failed: {row['error']}", False
    numbers = {name: [int(n) for n in row[name].split()] for name in ("ids", "frames", "durations")}
    if numbers["ids"] != clip["ids"]:
        place = first_difference(numbers["ids"], clip["ids"])
        margin = clip["margins"][min(place, len(clip["margins"]) - 1)]
        # a flipped duration shows as a token only later: the narrowest decision so far counts
        narrowest = min((m for m in clip["margins"][: place + 1] if m is not None), default=None)
        as_extractor = " (the ids of transformers' own features)" if (
            clip.get("extractor", {}).get("ids") == numbers["ids"]) else ""  # fmt: skip
        line = f"token {place} of {len(clip['ids'])} differs, margin there {margin}, narrowest so far {narrowest}"
        return line + as_extractor, narrowest is not None and narrowest < limit
    if row["hypothesis"] != clip["text"]:
        return f"same tokens, other text: {row['hypothesis']!r} for {clip['text']!r}", False
    if numbers["frames"] != clip["at"] or numbers["durations"] != clip["durations"]:
        names = {"frames": "at", "durations": "durations"}
        places = [first_difference(numbers[own], clip[name]) for own, name in names.items()]
        margin = min((m for m in clip["margins"][: min(places) + 1] if m is not None), default=None)
        return f"same tokens, other frames or durations from token {min(places)}, margin {margin}", True
    return "", True


def word_error_rate(counts):
    hits, substitutions, deletions, insertions = (sum(column) for column in zip(*counts))
    return 100 * (substitutions + deletions + insertions) / max(1, hits + substitutions + deletions)


def check_set(options, path, texts):
    """Compares one reference file; returns (clips, clips with other tokens, everything else right)."""
    meta, clips = read_reference(path)
    if options.subset and options.subset < len(clips):
        clips = [clips[i * len(clips) // options.subset] for i in range(options.subset)]
    for clip in clips:
        if clip["path"] not in texts:
            missing(f"{options.data}/manifest.tsv has no {clip['path']}")
    with tempfile.TemporaryDirectory() as folder:
        summary, rows = run_eval(options, clips, texts, folder)
    if len(rows) != len(clips):
        missing(f"eval wrote {len(rows)} lines for {len(clips)} clips")
    other, right = 0, True
    for clip, row in zip(clips, rows):
        line, explained = compare_clip(clip, row, options.margin)
        if line:
            print(f"  {clip['path']}: {line}{'' if explained else '  NOT EXPLAINED'}")
        other += bool(line) and not line.startswith("same tokens")
        right = right and explained
    names = ("hits", "substitutions", "deletions", "insertions")
    own = word_error_rate([[int(row[name]) for name in names] for row in rows])
    reference = word_error_rate([clip["words"] for clip in clips])
    right = right and abs(own - reference) <= POINTS and summary["empty"] == 0
    print(
        f"{meta['set']}: {len(clips) - other} of {len(clips)} clips have the same tokens, WER {own:.2f} % "
        f"(reference {reference:.2f} %), {summary['empty']} empty, {summary['speed']:.1f}x real time"
    )
    return len(clips), other, right


def main():
    options = parse_arguments()
    manifest = os.path.join(options.data, "manifest.tsv")
    if not os.path.isfile(manifest):
        missing(f"no {manifest}; give the folder of the recordings in STAPES_DATA or with --data")
    if not os.access(options.stapes, os.X_OK):
        missing(f"no program at {options.stapes}; build it, or name it in STAPES_BIN or with --stapes")
    texts = {row["path"]: row["text"] for row in read_table(manifest)}
    references = sorted(glob.glob(os.path.join(ROOT, "tests", "data-reference", "nano-*.jsonl.gz")))
    chosen = [p for p in references if not options.set or os.path.basename(p)[5:-9] in options.set]
    if not chosen:
        missing(f"no reference among {', '.join(os.path.basename(p)[5:-9] for p in references)} is wanted")
    clips, other, right = 0, 0, True
    for path in chosen:
        counted, differing, fine = check_set(options, path, texts)
        clips, other, right = clips + counted, other + differing, right and fine
    share = 100 * (clips - other) / clips
    passed = right and share >= SHARE
    print(f"{share:.2f} % of {clips} clips identical, wanted {SHARE} %: {'passed' if passed else 'FAILED'}")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
