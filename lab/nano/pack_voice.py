"""Voice ONNX file -> compact copy (int8 weights with a scale per output channel) and back.

    pack_voice.py pack voice.onnx voice.pak      pack_voice.py unpack voice.pak voice.onnx

Meant for machines that are reached through a narrow channel: 79 MB become about 19 MB.  The weights come back
as float16, which the graph interpreter widens on load.
"""
import lzma, pickle, sys
import numpy as np, onnx
from onnx import numpy_helper

KEEP_HALF = ('dp.', 'emb_g')


def pack(src, dst):
    model = onnx.load(src)
    weights = []
    for init in model.graph.initializer:
        a = numpy_helper.to_array(init)
        if a.dtype != np.float32 or a.size < 2048:
            continue
        if a.ndim < 2 or init.name.startswith(KEEP_HALF):
            weights.append((init.name, None, a.astype(np.float16)))
        else:
            flat = a.reshape(a.shape[0], -1)
            scale = np.maximum(np.abs(flat).max(1), 1e-8) / 127
            weights.append((init.name, scale.astype(np.float32), np.round(flat / scale[:, None]).astype(np.int8).reshape(a.shape)))
    names = {w[0] for w in weights}
    for init in model.graph.initializer:
        if init.name in names:
            init.CopyFrom(onnx.TensorProto(name=init.name, data_type=onnx.TensorProto.FLOAT16))
    with open(dst, 'wb') as f:
        f.write(lzma.compress(pickle.dumps((model.SerializeToString(), weights)), preset=6))


def unpack(src, dst):
    graph, weights = pickle.loads(lzma.decompress(open(src, 'rb').read()))
    model = onnx.ModelProto.FromString(graph)
    values = {}
    for name, scale, a in weights:
        if scale is not None:
            a = a.astype(np.float32) * scale.reshape(-1, *[1] * (a.ndim - 1))
        values[name] = a.astype(np.float16)
    for init in model.graph.initializer:
        if init.name in values:
            init.CopyFrom(numpy_helper.from_array(values[init.name], init.name))
    onnx.save(model, dst)


if __name__ == '__main__':
    {'pack': pack, 'unpack': unpack}[sys.argv[1]](*sys.argv[2:4])
