"""Graphs of extensions: the positive text, whatever their nodes call it; where nothing tells, nothing and what it may be."""

import json

import pytest
from graphs_of_extensions import GRAPHS, enc, g, ks
from graphs_that_choose import BOTH, OTHER, T, said
from graphs_that_choose import GRAPHS as THAT_CHOOSE
from written import node as n

from pyiqa_moeagiqa.prompts import clean
from pyiqa_moeagiqa.prompts.comfyui import graph_prompt, read_graph


@pytest.mark.parametrize('name', GRAPHS | THAT_CHOOSE)
def test_the_positive_text(name):
    graph, prompt = (GRAPHS | THAT_CHOOSE)[name]
    found = graph_prompt(json.loads(json.dumps(graph)))
    assert (found and clean.stable_diffusion(found)) == prompt


def test_texts_that_may_be_the_prompt_are_candidates():
    other = {
        '13': ks(('16', 0)),
        '16': enc('a harbour'),
        '18': n('VAEDecode', samples=['13', 0]),
        '19': n('SaveImage', images=['18', 0]),
    }
    two = g(_3=ks(('6', 0)), _6=enc('a lighthouse')) | other
    assert read_graph(two) == (None, ('a lighthouse', 'a harbour'))
    switch = n('ImpactSwitch', select=['60', 0], input1=['61', 0], input2=['62', 0])
    texts = {'61': n('String Literal', string='a lighthouse'), '62': n('String Literal', string='a harbour')}
    worked_out = g(_3=ks(('6', 0)), _6=enc(['50', 0]), _50=switch, _60=n('ImpactInt', value=['63', 0]), **texts)
    assert read_graph(worked_out) == (None, ('a lighthouse', 'a harbour'))

    assert read_graph(said(c=n('Text Random Line', text=BOTH))) == (None, (OTHER, T))
    unknown = n('StringConcatenate', string_a=T, string_b=['f', 0], delimiter=', ')
    assert read_graph(said(c=unknown, f=n('Florence2Run', task='caption'))) == (None, (T,))


def test_a_first_pass_that_cannot_be_read_is_not_replaced_by_the_second():
    caption = n('Florence2Run', task='caption', image=['i', 0])
    graph = g(_3=ks(('26', 0), latent=('13', 0)), _26=enc('sharp'), _13=ks(('6', 0)), _6=enc(['f', 0]), f=caption)
    assert graph_prompt(graph) is None


def test_a_language_models_instruction_is_left_out_and_a_persons_words_are_not():
    def told(**inputs):
        texts = {
            'a': n('PrimitiveString', value='You are a poet. Describe what you see.'),
            'b': n('PrimitiveString', value='an old lighthouse'),
        }
        return graph_prompt(g(_3=ks(('6', 0)), _6=enc(['l', 0]), l=n('TextGenerate', **inputs), **texts))

    assert told(prompt=['b', 0], system_prompt=['a', 0]) == 'an old lighthouse'
    assert told(prompt='an old lighthouse') == 'an old lighthouse'
    assert told(prompt=['a', 0]) is None


def test_a_template_is_filled_and_stays_open_where_a_value_is():
    def filled(value):
        template = n('StringFormat', f_string='{{x}} an {a} in {b}', **{'values.a': ['v', 0], 'values.b': 'a storm'})
        return graph_prompt(g(_3=ks(('6', 0)), _6=enc(['t', 0]), t=template, v=value))

    assert filled(n('PrimitiveString', value='old lighthouse')) == '{x} an old lighthouse in a storm'
    assert filled(n('Florence2Run', task='caption')) is None


def test_contexts_carry_settings_on_and_are_no_passes():
    def context(**links):
        return n('Context Big (rgthree)', seed=1, steps=20, cfg=7, **links)

    first = {
        'c1': context(positive=['6', 0], negative=['7', 0]),
        '13': ks(('c1', 4), ('c1', 5)),
        '6': enc('an old lighthouse'),
    }
    second = {'c2': context(base_ctx=['c1', 0], positive=['26', 0], latent=['13', 0]), '26': enc('sharp')}
    assert graph_prompt(g(_3=ks(('c2', 4), ('c2', 5), ('c2', 6))) | first | second) == 'an old lighthouse'
