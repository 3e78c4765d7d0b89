#!/usr/bin/env python3
"""Includes go down only (docs/design.md). Every quoted #include of src/, cli/, server/, examples/
and bench/ must name a folder that the including folder may see; this prints each breach and exits
with 1. Also checks that no source outside compute/cpu/x86, compute/cpu/arm and audio/x86 asks for
an instruction set, that files stay short, and that public functions are few and documented."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PUBLIC = "stapes"
BASE = {PUBLIC, "base"}
# folder -> folders it may include (its own is always allowed)
MAY = {
    "base": {PUBLIC},
    "tensor": BASE,
    "weights": BASE | {"tensor"},
    "audio": BASE | {"tensor"},
    "compute": BASE | {"tensor"},
    "text": BASE,
    "models": BASE | {"tensor", "weights", "audio", "compute"},
    "stages": BASE | {"tensor", "compute"},
    "stages/native": BASE | {"tensor", "compute", "weights", "models", "stages"},
    "decode": BASE | {"tensor", "compute", "stages", "text"},
    "hub": BASE | {"weights"},
    "eval": BASE | {"text"},
    "engine": BASE | {"tensor", "weights", "audio", "compute", "text", "models", "stages",
                      "decode", "hub"},
    "bench": BASE | {"tensor", "weights", "audio", "compute", "text", "models", "stages",
                     "decode", "hub", "engine"},
    "inspect": BASE | {"tensor", "weights", "audio", "text", "models", "hub"},
}
# Programs see the public headers. A command may also see the module that it is the face of.
PROGRAM_EXTRA = {
    "cli/cmd_eval": {"eval"},
    "cli/eval": {"eval"},
    "cli/cmd_bench": {"bench"},
    "cli/bench": {"bench"},
    "cli/cmd_pull": {"hub"},
    "cli/models": {"hub"},
    "cli/cmd_models": {"hub", "base"},
    "cli/cmd_inspect": {"weights", "models", "text"},
    "cli/cmd_doctor": {"hub", "base"},
    "cli/doctor": {"hub", "base"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
ISA = re.compile(r"__AVX|__SSE|__ARM_NEON|_mm\d*_|immintrin\.h|arm_neon\.h")
MAX_C, MAX_H, MAX_API = 700, 400, 30


def folder_of(path):
    parts = path.relative_to(ROOT / "src").parts[:-1]
    joined = "/".join(parts)
    while joined and joined not in MAY:
        joined = joined.rpartition("/")[0]
    return joined


def target_folder(include):
    return include.split("/")[0] if "/" in include else None


def check_source(path, problems):
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT)
    inside = path.is_relative_to(ROOT / "src")
    own = folder_of(path) if inside else None
    if inside:
        allowed = MAY.get(own, set()) | {own.split("/")[0] if own != "stages" else "stages"}
    else:
        stem = str(name.with_suffix(""))
        extra = next((v for k, v in PROGRAM_EXTRA.items() if stem.startswith(k)), set())
        allowed = {PUBLIC} | extra
    for include in INCLUDE.findall(text):
        target = target_folder(include)
        if own == "stages" and include.startswith("stages/native"):
            problems.append(f"{name}: the interface includes its implementation {include}")
        if target and target not in allowed and "bench_" not in path.name:
            problems.append(f"{name}: {own or 'a program'} may not include {include}")
    if inside and "/x86/" not in str(path) and "/arm/" not in str(path) and ISA.search(text):
        if not path.name.endswith("_lanes.h") and path.name != "cpu.c":
            problems.append(f"{name}: asks for an instruction set outside x86/ and arm/")
    lines = text.count("\n")
    limit = MAX_H if path.suffix == ".h" else MAX_C
    if lines > limit:
        problems.append(f"{name}: {lines} lines, the limit is {limit}")


def check_api(problems):
    count = 0
    for header in sorted((ROOT / "include/stapes").glob("*.h")):
        text = header.read_text(encoding="utf-8")
        for match in re.finditer(r"^STAPES_API ", text, re.M):
            count += 1
            before = text[: match.start()].rstrip()
            if not before.endswith("*/"):
                line = text[: match.start()].count("\n") + 1
                problems.append(f"{header.name}:{line}: a public function without its comment")
    if count > MAX_API:
        problems.append(f"{count} public functions, the limit is {MAX_API}")


def main():
    problems = []
    for folder in ("src", "cli", "server", "examples", "bench"):
        for path in sorted((ROOT / folder).rglob("*.[ch]")):
            check_source(path, problems)
    check_api(problems)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
