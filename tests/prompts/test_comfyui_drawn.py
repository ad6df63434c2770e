"""Graphs as ComfyUI's front end draws them: its format 0.4, with subgraphs as of front end 1.24."""

import pytest

from pyiqa_moeagiqa.prompts.comfyui import workflow_prompt
from pyiqa_moeagiqa.prompts.comfyui_drawn import MOST, as_run

TEXT, SUBGRAPH = 'an old lighthouse in a storm', '11111111-2222-4333-8444-555555555555'
CONDITIONING = [('CONDITIONING', 'CONDITIONING')]


def drawn(number, kind, typed=(), inputs=(), outputs=(), mode=0):
    """A node; an input is (name, type, link) and, where it is a widget, a fourth."""
    slots = [
        {'name': name, 'type': of, 'link': link} | ({'widget': {'name': name}} if widget else {})
        for name, of, link, *widget in inputs
    ]
    ends = [{'name': name, 'type': of} for name, of in outputs]
    return {'id': number, 'type': kind, 'mode': mode, 'widgets_values': list(typed), 'inputs': slots, 'outputs': ends}


def sampler(number=3, positive=1, negative=2, mode=0):
    inputs = [
        ('positive', 'CONDITIONING', positive),
        ('negative', 'CONDITIONING', negative),
        ('latent_image', 'LATENT', None),
    ]
    return drawn(
        number, 'KSampler', [5, 'randomize', 20, 7, 'euler', 'normal', 1], inputs, [('LATENT', 'LATENT')], mode
    )


def encoder(number, text, *inputs):
    return drawn(number, 'CLIPTextEncode', [text], inputs, CONDITIONING)


def prompt(nodes, links, **more):
    return workflow_prompt({'nodes': nodes, 'links': links, 'version': 0.4, **more})


BOTH = [('positive', 'CONDITIONING', 5), ('negative', 'CONDITIONING', 6)]
PASSED = [('positive', 'CONDITIONING'), ('negative', 'CONDITIONING')]


@pytest.mark.parametrize(('mode', 'expected'), [(0, TEXT), (4, TEXT), (2, None)], ids=['on', 'bypassed', 'muted'])
def test_a_node_on_the_way(mode, expected):
    on_the_way = drawn(10, 'ControlNetApplyAdvanced', [1, 0, 1], BOTH, PASSED, mode)
    links = [
        [1, 10, 0, 3, 0, 'CONDITIONING'],
        [2, 10, 1, 3, 1, 'CONDITIONING'],
        [5, 6, 0, 10, 0, 'CONDITIONING'],
        [6, 7, 0, 10, 1, 'CONDITIONING'],
    ]
    assert prompt([sampler(), on_the_way, encoder(6, TEXT), encoder(7, 'ugly')], links) == expected


def test_comments_are_taken_out_as_the_front_end_does():
    assert prompt([sampler(), encoder(6, f'{TEXT} // later\n/* a cat */')], [[1, 6, 0, 3, 0, 'X']]) == TEXT


def test_values_get_the_names_of_their_widgets():
    named = drawn(6, 'SomebodysEncoder', [7, 'fixed', 'none', TEXT], [('seed', 'INT', None, 1), ('style', 'COMBO', None, 1), ('text', 'STRING', None, 1)], CONDITIONING)  # fmt: skip
    assert prompt([sampler(), named], [[1, 6, 0, 3, 0, 'X']]) == TEXT
    old = drawn(6, 'CLIPTextEncodeSDXL', [1024, 1024, 0, 0, 1024, 1024, TEXT, 'storm'], outputs=CONDITIONING)
    assert prompt([sampler(), old], [[1, 6, 0, 3, 0, 'X']]) == f'{TEXT}, storm'


@pytest.mark.parametrize(
    ('typed', 'expected'),
    [
        (['style.csv', TEXT, True], TEXT),
        (['fp8_e4m3fn', 'default', 'multiply'], None),
        ([f'{TEXT}, red', f'{TEXT}, blue'], None),
        (['cat'], 'cat'),
    ],
)
def test_of_an_unknown_node_the_one_plain_text_counts(typed, expected):
    nodes = [
        sampler(),
        encoder(6, '', ('text', 'STRING', 4, 1)),
        drawn(8, 'SomebodysText', typed, outputs=[('STRING', 'STRING')]),
    ]
    assert prompt(nodes, [[1, 6, 0, 3, 0, 'X'], [4, 8, 0, 6, 0, 'STRING']]) == expected


def subgraph(*, typed, inner, held_link=None):
    nodes = [sampler(3, 1, 2), encoder(6, inner, ('text', 'STRING', 12, 1)), encoder(7, 'ugly')]
    links = [(1, 6, 0, 3, 0), (2, 7, 0, 3, 1), (3, 3, 0, -20, 0), (12, -10, 0, 6, 0)]
    keys = ('id', 'origin_id', 'origin_slot', 'target_id', 'target_slot')
    inside = {'id': SUBGRAPH, 'inputs': [{'name': 'text', 'type': 'STRING'}], 'nodes': nodes, 'links': [dict(zip(keys, link, strict=True)) for link in links]}  # fmt: skip
    holder = drawn(1, SUBGRAPH, typed, [('text', 'STRING', held_link, 1)], [('LATENT', 'LATENT')])
    decode = drawn(8, 'VAEDecode', [], [('samples', 'LATENT', 5)], [('IMAGE', 'IMAGE')])
    links = [[5, 1, 0, 8, 0, 'LATENT'], [6, 20, 0, 1, 0, 'STRING']]
    text = drawn(20, 'PrimitiveStringMultiline', ['by a link'], outputs=[('STRING', 'STRING')])
    return prompt([holder, decode, text], links, definitions={'subgraphs': [inside]})


PAIR = {'KJNodes': ('SetNode', 'GetNode'), 'easy-use': ('easy setNode', 'easy getNode')}


@pytest.mark.parametrize('pair', PAIR.values(), ids=PAIR)
def test_what_is_set_is_got_elsewhere(pair):
    setter = drawn(6, pair[0], ['words'], [('CONDITIONING', 'CONDITIONING', 4)], CONDITIONING)
    links = [[1, 7, 0, 3, 0, 'CONDITIONING'], [4, 5, 0, 6, 0, 'CONDITIONING']]
    assert prompt([sampler(), setter, drawn(7, pair[1], ['words'], (), CONDITIONING), encoder(5, TEXT)], links) == TEXT


def test_what_is_broadcast_reaches_inputs_without_a_link():
    nodes = [sampler(3, None, None), encoder(5, 'ugly'), encoder(6, TEXT)]
    one = {'downstream': 3, 'downstream_slot': 0, 'upstream': '6', 'upstream_slot': 0, 'controller': 9}
    assert prompt(nodes, [], extra={'ue_links': [one, {}, None]}) == TEXT
    both = drawn(9, 'Prompts Everywhere', (), [('CONDITIONING', '*', 1), ('CONDITIONING', '*', 2)])
    links = [[1, 6, 0, 9, 0, 'CONDITIONING'], [2, 5, 0, 9, 1, 'CONDITIONING']]
    assert prompt([*nodes, both], links) == TEXT
    assert prompt([*nodes, both], links, extra={'ue_links': [{}]}) is None
    assert prompt([*nodes, both, both | {'id': 10}], links) is None


def test_an_option_is_no_prompt():
    varied = [('conditioning', 'CONDITIONING', 4)]
    vary = drawn(6, 'SeedVariance', [50, 'noise on the first steps', 'beginning', False], varied, CONDITIONING)
    links = [[1, 6, 0, 3, 0, 'CONDITIONING'], [4, 5, 0, 6, 0, 'CONDITIONING']]
    assert prompt([sampler(), vary, encoder(5, '')], links) is None
    assert prompt([sampler(), vary, encoder(5, TEXT)], links) == TEXT
    for typed, expected in ((['Restore Model 2 (Version 3.1)'], None), ([TEXT, 'Restore Model 2 (Version 3.1)'], TEXT)):
        assert prompt([drawn(1, 'SomeService', [*typed, 5], (), [('IMAGE', 'IMAGE')])], []) == expected


def test_a_subgraph_takes_what_was_typed_or_linked_outside_and_else_what_stands_inside():
    assert subgraph(typed=[TEXT], inner='old') == TEXT
    assert subgraph(typed=[TEXT], inner='old', held_link=6) == 'by a link'
    assert subgraph(typed=[], inner='inside') == 'inside'


def test_subgraphs_in_themselves_end():
    links = [{'id': 1, 'origin_id': 1, 'origin_slot': 0, 'target_id': -20, 'target_slot': 0}]
    own = {'id': SUBGRAPH, 'nodes': [drawn(n, SUBGRAPH) for n in range(50)], 'links': links}
    whole = {'nodes': own['nodes'], 'links': [], 'definitions': {'subgraphs': [own]}}  # 50 ** 8 of them
    assert len(as_run(whole)) <= MOST
    assert workflow_prompt(whole) is None


@pytest.mark.parametrize('workflow', [None, {}, {'nodes': {}}, {'nodes': [None, {'id': []}]}, {'nodes': [{'id': 1, 'inputs': 3}], 'links': [[[], 1]]}])  # fmt: skip
def test_what_is_no_drawing_has_no_text(workflow):
    assert workflow_prompt(workflow) is None
