"""A small SentencePiece model, the same as tokenizer.json, and the tokens of some prompts, for
`crates/models/tests/tokenizer.rs`.

    pip install sentencepiece 'protobuf>=6' tokenizers
    python tools/parity/tokenizer.py crates/models/tests/fixtures/tokenizer

The model has T5's special tokens (padding 0, end 1, unknown 2) and a small table of characters to normalise, so that the
file stays small; the tokens are those of the sentencepiece library, as LTX-Video's `T5Tokenizer` gives them.
"""

import argparse
import json
import random
from pathlib import Path

import sentencepiece as spm
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

WORDS = """a person talks to the camera in front of white wall woman man smiles softly while speaking clear daylight studio
video of close up head and shoulders looks at viewer sits still calm friendly face hair dark blue shirt green eyes window
worst quality inconsistent motion blurry jittery distorted Tuesday Wednesday meeting starts today tomorrow""".split()

PROMPTS = [
    "a person talks to the camera",
    "  A woman,  smiling;\tsits   still. ",
    "worst quality, inconsistent motion, blurry, jittery, distorted",
    "ﬁne “quotes” – naïve café, 東京 ½ Ⅷ",
    "",
    "unknown § ¤¤ signs",
    "e" * 300,
    "one two three four five six seven eight nine ten " * 12,
]


def train(folder):
    random.seed(3)
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(" ".join(random.choices(WORDS, k=8)) for _ in range(3000)))
    rules = folder / "rules.tsv"
    # Code points, and what they become.
    table = {"ﬁ": "fi", "“": '"', "”": '"', "–": "-", "ï": "i", "½": "1/2", "Ⅷ": "VIII", "\t": " ", "é": "e"}
    rows = [f"{' '.join(f'{ord(c):X}' for c in a)}\t{' '.join(f'{ord(c):X}' for c in b)}" for a, b in table.items()]
    rules.write_text("\n".join(rows) + "\n")
    spm.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "spiece"), vocab_size=240, model_type="unigram", pad_id=0, eos_id=1,
        unk_id=2, bos_id=-1, normalization_rule_tsv=str(rules), character_coverage=1.0, hard_vocab_limit=False,
        required_chars="0123456789.,;-/\"ABCDEFGHIJKLMNOPQRSTUVWXYZ", minloglevel=2, num_threads=1)
    for name in ("corpus.txt", "rules.tsv", "spiece.vocab"):
        (folder / name).unlink()


def convert(folder):
    """As transformers' `T5Converter` does it."""
    from sentencepiece import sentencepiece_model_pb2 as pb


    proto = pb.ModelProto()
    proto.ParseFromString((folder / "spiece.model").read_bytes())
    fast = Tokenizer(models.Unigram([(p.piece, p.score) for p in proto.pieces], proto.trainer_spec.unk_id))
    fast.normalizer = normalizers.Sequence([
        normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap),
        normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")])
    fast.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    fast.save(str(folder / "tokenizer.json"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    train(folder)
    convert(folder)
    processor = spm.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    tokens = [[prompt, processor.encode(prompt.strip()) + [processor.eos_id()]] for prompt in PROMPTS]
    (folder / "tokens.json").write_text(json.dumps(tokens, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
