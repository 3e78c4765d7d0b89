"""SentencePiece model of nano (512 pieces, four of them control symbols) from sentences.

    train_tokenizer.py sentences.txt.xz OUT        writes OUT.model; only for a run from scratch
"""
import lzma, sys, tempfile
import sentencepiece as spm


def main():
    with tempfile.NamedTemporaryFile('wb', suffix='.txt') as f:
        f.write(lzma.open(sys.argv[1]).read())
        f.flush()
        spm.SentencePieceTrainer.train(
            input=f.name, model_prefix=sys.argv[2], vocab_size=512, model_type='bpe', character_coverage=1.0, unk_id=0, bos_id=-1,
            eos_id=-1, pad_id=-1, control_symbols=['<|nospeech|>', '<pad>', '<|endoftext|>'], normalization_rule_name='identity',
            input_sentence_size=2000000, num_threads=1)


if __name__ == '__main__':
    main()
