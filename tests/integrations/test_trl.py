"""Pairs train a language model with TRL: one step of DPO, on a small model with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from negmine.pairs import make_pairs

#: TRL uses names that transformers deprecates.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]

trl = pytest.importorskip("trl")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

PROMPTS = ["name a fruit ", "name a car "]
RESPONSES = ["an apple", "a stone", "a pear", "a van", "a tree"]


def test_a_step_of_dpo(tmp_path: Path) -> None:
    pairs = make_pairs([1.0, 0.0, 0.8, 0.9, 0.1], [0, 0, 0, 1, 1], rejected="all")
    rows = pairs.to_dataset(PROMPTS, RESPONSES)
    assert rows.num_rows == 3
    words = sorted({word for text in PROMPTS + RESPONSES for word in text.split()})
    vocabulary = {word: number for number, word in enumerate(["<pad>", "<eos>", "<unk>", *words])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    config = transformers.GPT2Config(
        vocab_size=len(vocabulary), n_positions=64, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=1
    )
    transformers.set_seed(0)
    # The trainer loads its reference model from the same folder.
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "start")
    model = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "start")
    before = model.transformer.wte.weight.detach().clone()
    arguments = trl.DPOConfig(
        output_dir=str(tmp_path / "end"),
        max_steps=1,
        per_device_train_batch_size=3,
        report_to=[],
        use_cpu=True,
        bf16=False,
    )
    trainer = trl.DPOTrainer(model=model, args=arguments, train_dataset=rows, processing_class=fast)
    outcome = trainer.train()
    assert outcome.global_step == 1
    assert 0 < outcome.training_loss < 10
    assert (model.transformer.wte.weight.detach() != before).any()
