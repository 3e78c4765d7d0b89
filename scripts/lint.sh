#!/usr/bin/env bash
# clang-format and clang-tidy over the whole source. Usage: scripts/lint.sh BUILD_FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
mapfile -t files < <(git ls-files '*.c' '*.h')
format=$(command -v clang-format-14 || command -v clang-format)
tidy=$(command -v clang-tidy-14 || command -v clang-tidy)
echo "$("$format" --version)"
"$format" --dry-run -Werror "${files[@]}"
mapfile -t sources < <(git ls-files 'src/*.c' 'cli/*.c' 'examples/*.c')
printf '%s\n' "${sources[@]}" | grep -v ffmpeg_stub |
    xargs -P "$(nproc)" -n 1 "$tidy" -p "$build" --quiet --warnings-as-errors='*' 2>/dev/null
echo "lint: clean"
