"""BERT of our own: the bits of transformers' BertModel, and options that are checked."""

import subprocess
import sys

import pytest
import torch

from pyiqa_moeagiqa.archs.bert import Bert
from pyiqa_moeagiqa.archs.tokenizer import tokenize
from pyiqa_moeagiqa.options import OptionError

SMALL = {'hidden_size': 48, 'num_hidden_layers': 3, 'num_attention_heads': 4, 'intermediate_size': 96}
PROMPTS = ['a cat in the snow', '', 'word ' * 100, 'two birds, oil on canvas']


@pytest.fixture(scope='module')
def theirs():
    transformers = pytest.importorskip('transformers')
    torch.manual_seed(0)
    return transformers.BertModel(transformers.BertConfig(**SMALL), add_pooling_layer=False).eval()


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('length', [3, 35])
def test_answers_are_those_of_transformers(theirs, dtype, length):
    ours = Bert(SMALL).eval()
    ours.load_state_dict(theirs.float().state_dict())
    for prompts in (PROMPTS, PROMPTS[:1], PROMPTS[2:3]):
        ids, mask, _ = tokenize(prompts, length)
        with torch.no_grad():
            expected = theirs.to(dtype)(ids, mask).last_hidden_state
            assert ours.to(dtype)(ids, mask).equal(expected)


def test_padding_is_not_seen():
    bert = Bert(SMALL).eval()
    ids, mask, _ = tokenize(['a cat'], 12)
    other = torch.where(mask.bool(), ids, 2000)
    assert bert(ids, mask)[:, :4].allclose(bert(other, mask)[:, :4], atol=1e-6)
    assert not bert(ids, torch.ones_like(mask)).allclose(bert(other, torch.ones_like(mask)), atol=1e-3)


def test_dropout_is_for_training_alone():
    bert = Bert(SMALL).train()
    ids, mask, _ = tokenize(['a cat'], 12)
    assert not bert(ids, mask).equal(bert(ids, mask))
    bert.eval()
    assert bert(ids, mask).equal(bert(ids, mask))


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'hidden_sizes': 48}, "Unknown .*'hidden_sizes': did you mean 'hidden_size'"),
        ({'hidden_size': 50}, 'hidden_size is 50: it must be a multiple of num_attention_heads'),
        ({'hidden_act': 'swoosh'}, "hidden_act is 'swoosh': it must be 'gelu', 'relu' or 'silu'"),
        ({'num_hidden_layers': 0}, 'num_hidden_layers is 0'),
        ({'num_attention_heads': '4'}, "num_attention_heads is '4'"),
        ({'layer_norm_eps': -1}, 'layer_norm_eps is -1'),
    ],
)
def test_an_impossible_option_is_named(options, said):
    with pytest.raises(OptionError, match=said):
        Bert(SMALL | options)


def test_the_default_metric_needs_no_transformers():
    code = (
        'import sys, pyiqa; pyiqa.create_metric("moeagiqa");'
        'print([name for name in ("transformers", "accelerate") if name in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == '[]\n'
    assert 'Warning' not in done.stderr
