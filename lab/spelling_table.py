#!/usr/bin/env python3
"""Writes src/eval/spelling.inc: British and American word forms for the English normaliser.

The word pairs are those of whisper/normalizers/english.json in PyPI's openai-whisper (MIT licence,
Copyright (c) 2022 OpenAI), which takes them from https://www.tysto.com/uk-us-spelling-list.html.
Entries whose British side is not one word can never be looked up and are left out.

  lab/spelling_table.py > src/eval/spelling.inc
"""
import importlib.metadata
import json
import pathlib

import whisper.normalizers

table = pathlib.Path(whisper.normalizers.__file__).with_name("english.json")
pairs = json.loads(table.read_text(encoding="utf-8"))
print("/* British and American spellings, sorted. Made by lab/spelling_table.py from the word list of")
print(f" * openai-whisper {importlib.metadata.version('openai-whisper')} (whisper/normalizers/english.json; MIT,")
print(" * Copyright (c) 2022 OpenAI; words from https://www.tysto.com/uk-us-spelling-list.html). */")
for british, american in sorted(pairs.items(), key=lambda pair: pair[0].encode()):
    if " " not in british:
        print(f'{{"{british}", "{american}"}},')
