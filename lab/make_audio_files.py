"""Makes tests/unit/audio: small files in the formats that only FFmpeg reads and that the tests cannot
write themselves. A 440 Hz tone of amplitude 0.5, 1.0 s.

usage: make_audio_files.py FOLDER      (needs PyAV and numpy from PyPI)
"""
import fractions
import sys

import av
import numpy as np

FILES = [  # name, codec, rate, layout, container options
    ("tone.m4a", "aac", 44100, "stereo", {}),
    ("tone-faststart.mp4", "aac", 48000, "mono", {"movflags": "faststart"}),
    ("tone.webm", "libopus", 48000, "mono", {}),
    ("tone.mka", "aac", 32000, "mono", {}),
]


def make(path, codec, rate, layout, options):
    channels = 2 if layout == "stereo" else 1
    time = np.arange(rate) / rate
    tone = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    with av.open(path, "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 64000 * channels
        form = "flt" if codec == "libopus" else "fltp"
        for start in range(0, rate, 960):
            part = tone[start : start + 960]
            both = np.stack([part, -part]) if channels == 2 else part[None]
            data = both if form == "fltp" else both.T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format=form, layout=layout)
            frame.sample_rate, frame.pts = rate, start
            frame.time_base = fractions.Fraction(1, rate)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


for name, *rest in FILES:
    make(sys.argv[1] + "/" + name, *rest)
