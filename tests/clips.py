"""Tiny CLIPs, SigLIPs and BERTs with random weights, in folders as transformers' ``save_pretrained`` writes them."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tiny import TINY
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

SIZES = TINY['semantic_options']
LENGTH = 16  # places of a prompt
TEXTS = ['a red fox in the snow, oil painting', 'two cats and a dog on a sofa', 'A Castle at night, 3d render'] * 3
# What a network's options have beside ``weights`` and what the folder states.
NETWORK = TINY | {
    'semantic': 'clip',
    'semantic_options': {},
    'matching': 0,
    'frozen_share': 0.5,
    'prompt_tokens': LENGTH,
}
MATCHING = {'clip': 24, 'siglip': 32}


def trained_on(special: list[str], suffix: str = '') -> tuple[dict[str, int], list]:
    """Vocabulary and merges of byte pairs, trained on ``TEXTS``."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix=suffix or None))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, end_of_word_suffix=suffix or None, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(map(str.lower, TEXTS), trainer)
    model = json.loads(tokenizer.to_str())['model']
    return model['vocab'], [tuple(merge) for merge in model['merges']]


def tokenizer_of(family: str):
    """transformers' own tokenizer with a tiny vocabulary; a SigLIP 2's as on the hub, which keeps upper case."""
    from transformers import CLIPTokenizer, PreTrainedTokenizerFast

    if family == 'clip':
        vocabulary, merges = trained_on(['<|startoftext|>', '<|endoftext|>'], '</w>')
        for letter in pre_tokenizers.ByteLevel.alphabet():  # so that no byte is unknown
            vocabulary.setdefault(f'{letter}</w>', len(vocabulary))
        return CLIPTokenizer(vocab=vocabulary, merges=merges)
    special = ['<pad>', '<eos>', '<bos>', '<unk>', '<mask>']
    letters = sorted({letter for text in TEXTS for letter in text.lower().replace(' ', '▁')})
    merges = [('▁', 'c'), ('▁', 'a'), ('▁c', 'a')]
    words = [*special, *(f'<0x{byte:02X}>' for byte in range(256)), *letters, *(''.join(merge) for merge in merges)]
    vocabulary = {word: number for number, word in enumerate(words)}
    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token='<unk>', fuse_unk=True, byte_fallback=True))
    backend.normalizer = normalizers.Replace(' ', '▁')
    backend.pre_tokenizer = pre_tokenizers.Split(' ', 'merged_with_previous')
    backend.post_processor = processors.TemplateProcessing(single='$A <eos>', special_tokens=[('<eos>', 1)])
    names = {'pad_token': '<pad>', 'eos_token': '<eos>', 'bos_token': '<bos>', 'unk_token': '<unk>'}
    return PreTrainedTokenizerFast(tokenizer_object=backend, padding_side='right', **names)


def clip_folder(folder: Path, family: str):
    """Save a tiny CLIP or SigLIP into ``folder``; returns transformers' model and tokenizer."""
    from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

    tokenizer = tokenizer_of(family)
    ends = {'bos_token_id': tokenizer.bos_token_id, 'eos_token_id': tokenizer.eos_token_id}
    text = SIZES | ends | {'vocab_size': len(tokenizer), 'max_position_embeddings': LENGTH}
    vision = SIZES | {'image_size': 32, 'patch_size': 16}
    torch.manual_seed(0)
    if family == 'clip':
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=MATCHING['clip']))
    else:
        model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


def bert_folder(folder: Path, **sizes):
    """Save a tiny BERT with a head, as ``BertForMaskedLM`` names its tensors, into ``folder``; returns transformers' model."""
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(**SIZES | sizes)).eval()
    model.save_pretrained(folder)
    return model


def vit_folder(folder: Path) -> None:
    """Save the tiny visual encoder, as timm's repositories on the hub have it, into ``folder``."""
    import timm

    folder.mkdir()
    torch.manual_seed(0)
    options = TINY['visual_options'] | {'img_size': TINY['crop_size'], 'num_classes': 0}
    vit = timm.create_model(TINY['visual'], pretrained=False, **options)
    save_file(vit.state_dict(), folder / 'model.safetensors')
