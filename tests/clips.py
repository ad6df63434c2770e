"""Tiny CLIPs, SigLIPs, MobileCLIPs and BERTs with random weights, in folders as transformers and OpenCLIP write them."""

import json
import os
import shutil
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
MATCHING = {'clip': 24, 'siglip': 32, 'mobileclip': 24}


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

    if family in ('clip', 'mobileclip'):
        ends = ['<|startoftext|>', '<|endoftext|>']
        vocabulary, merges = trained_on(ends, '</w>')
        for letter in pre_tokenizers.ByteLevel.alphabet():  # so that no byte is unknown
            vocabulary.setdefault(f'{letter}</w>', len(vocabulary))
        if family == 'mobileclip':  # OpenCLIP takes the largest number for a prompt's end
            words = [word for word in vocabulary if word not in ends] + ends
            vocabulary = {word: number for number, word in enumerate(words)}
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


def folder_of(folder: Path, family: str) -> None:
    """Save a tiny CLIP, SigLIP or MobileCLIP into ``folder``."""
    if family == 'mobileclip':
        mobileclip_folder(folder)
    else:
        clip_folder(folder, family)


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


def mobileclip_folder(folder: Path, both_ways: bool = True):
    """Have OpenCLIP write a tiny MobileCLIP into ``folder``, whose smallest image tower has 11 M weights; returns its model."""
    import open_clip
    from open_clip.push_to_hf_hub import save_for_hf

    tokenizer = tokenizer_of('mobileclip')
    text = {'width': 32, 'heads': 2, 'layers': 2, 'vocab_size': len(tokenizer), 'context_length': LENGTH}
    text['no_causal_mask'] = both_ways
    vision = {'timm_model_name': 'fastvit_mci0', 'timm_pool': 'avg', 'timm_proj': None, 'image_size': 64}
    config = {
        'embed_dim': MATCHING['mobileclip'],
        'vision_cfg': vision,
        'text_cfg': text,
        'custom_text': True,
    }
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(MATCHING['mobileclip'], vision, text).eval()
    _let_each_layer_count(model.visual.trunk)
    model.visual.image_mean, model.visual.image_std = (0.1, 0.2, 0.3), (0.9, 0.8, 0.7)
    save_for_hf(model, tokenizer, config, str(folder), safe_serialization=True)
    return model


def copy_of(folder: Path, place: Path) -> Path:
    """Copy a MobileCLIP's folder; its large weights are linked, so they can be removed but not changed."""

    def copied(source: str, target: str) -> None:
        (os.link if source.endswith('.safetensors') else shutil.copy2)(source, target)

    return shutil.copytree(folder, place, copy_function=copied)


@torch.no_grad()
def _let_each_layer_count(trunk) -> None:
    """Give batch norms the statistics of noise, and scales of layers, which start at almost 0, a size."""
    for name, parameter in trunk.named_parameters():
        if name.endswith('gamma'):
            parameter.fill_(0.1)
    for norm in trunk.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = None  # the mean of all batches, of which there is one
    trunk.train()(torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    trunk.eval()


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
