"""Training weights -> a folder that transformers' ParakeetForTDT and ParakeetProcessor load.

    export.py WEIGHTS.safetensors TEMPLATE OUT       TEMPLATE: such a folder of the same structure and tokenizer

Training-only heads stay out, except the CTC head, which goes into its own file.  Tensor names and shapes must be
those of the template; weights are float16, the blank's embedding row is zero.
"""
import glob, os, shutil, sys
import torch
from safetensors.torch import load_file, save_file
from model import CFG


def main():
    src, template, out = sys.argv[1:4]
    os.makedirs(out, exist_ok=True)
    sd, want = load_file(src), load_file(template + '/model.safetensors')
    keep = {}
    for name, old in want.items():
        new = sd.get(name, old if name.endswith('num_batches_tracked') else None)
        if new is None or new.shape != old.shape:
            sys.exit(f'{name}: wanted {tuple(old.shape)}, found {None if new is None else tuple(new.shape)}')
        keep[name] = new.half().contiguous() if new.is_floating_point() else new.contiguous()
        if not torch.isfinite(keep[name].float()).all():
            sys.exit(f'{name}: not finite in float16')
    keep['decoder.embedding.weight'][CFG['vocab']] = 0
    for path in glob.glob(template + '/*.json') + [template + '/tokenizer.model', template + '/vocab.txt']:
        shutil.copy(path, out)
    meta = {'format': 'pt'}
    save_file(keep, out + '/model.safetensors', metadata=meta)
    save_file({'ctc_head.weight': sd['ctc_head.weight'].half().reshape(CFG['vocab'] + 1, -1, 1).contiguous(),
               'ctc_head.bias': sd['ctc_head.bias'].half()}, out + '/ctc_head.safetensors', metadata=meta)
    print(out, len(keep), 'tensors; left out:', sorted({n.split('.')[0] for n in sd if n not in keep}))


if __name__ == '__main__':
    main()
