#!/usr/bin/env bash
# The layers of docs/design.md hold in the source.
exec python3 "$STAPES_SOURCE/scripts/check_includes.py"
