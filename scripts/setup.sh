#!/usr/bin/env bash
# Installs what the build needs on Debian and Ubuntu, by package name. Does nothing when all is
# there. Usage: scripts/setup.sh [build] [lint] [sanitize]
set -euo pipefail
packages=(build-essential cmake ninja-build pkg-config libsndfile1-dev libsoxr-dev libjansson-dev
          libyaml-dev libutf8proc-dev libcurl4-openssl-dev libssl-dev zlib1g-dev libcmocka-dev
          libavformat-dev libavcodec-dev libavutil-dev libswresample-dev python3 ca-certificates)
for part in "$@"; do
    case "$part" in
    build) ;;
    lint) packages+=(clang-format clang-tidy) ;;
    sanitize) packages+=(clang) ;;
    *) echo "setup.sh: unknown part '$part' (build, lint, sanitize)" >&2; exit 2 ;;
    esac
done
if ! command -v dpkg-query >/dev/null; then
    echo "setup.sh: this is not Debian or Ubuntu; install the equivalents of: ${packages[*]}" >&2
    exit 0
fi
missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "Installing: ${missing[*]}"
sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
