"""Graphs of ComfyUI's nodes, with class and input names as in its nodes.py, comfy_extras and well-known extensions."""

import json

import pytest
from written import DEFAULT_GRAPH, ksampler, node

from pyiqa_moeagiqa.prompts.comfyui import graph_prompt, workflow_prompt

CAT, DOG = node('CLIPTextEncode', text='a cat', clip=['4', 1]), node('CLIPTextEncode', text='dog', clip=['4', 1])


def encoder(**texts):
    return node('CLIPTextEncode', clip=['4', 1], **texts)


FLUX = {
    '5': node('EmptySD3LatentImage', width=1024, height=1024, batch_size=1),
    '13': node('SamplerCustomAdvanced', noise=['25', 0], guider=['22', 0], sampler=['16', 0], sigmas=['17', 0], latent_image=['5', 0]),
    '16': node('KSamplerSelect', sampler_name='euler'),
    '17': node('BasicScheduler', scheduler='simple', steps=20, denoise=1, model=['12', 0]),
    '12': node('UNETLoader', unet_name='flux1-dev.safetensors', weight_dtype='default'),
    '22': node('BasicGuider', model=['12', 0], conditioning=['26', 0]),
    '25': node('RandomNoise', noise_seed=1),
    '26': node('FluxGuidance', guidance=3.5, conditioning=['6', 0]),
    '6': CAT,
    '7': DOG,
    '9': node('SaveImage', images=['13', 0], filename_prefix='x'),
}  # fmt: skip
GRAPHS = {
    'the default': (DEFAULT_GRAPH, 'a cat in the snow'),
    'flux, basic guider': (FLUX, 'a cat'),
    'cfg guider': (
        FLUX | {'22': node('CFGGuider', cfg=3, model=['12', 0], positive=['6', 0], negative=['7', 0])},
        'a cat',
    ),
    'a guider with two positives': (
        FLUX
        | {'22': node('DualCFGGuider', cond1=['6', 0], cond2=['8', 0], negative=['7', 0]), '8': encoder(text='snow')},
        'a cat, snow',
    ),
    'lora between model and text': (
        {
            '3': ksampler('6'), '6': encoder(text='a cat', **{}), '7': DOG,
            '10': node('LoraLoader', lora_name='film', strength_model=1, strength_clip=1, model=['4', 0], clip=['4', 1]),
            '4': node('CheckpointLoaderSimple', ckpt_name='x'),
        },
        'a cat',
    ),
    'concat and combine': (
        {
            '3': ksampler('20'), '7': DOG,
            '20': node('ConditioningConcat', conditioning_to=['21', 0], conditioning_from=['6', 0]), '6': encoder(text='in snow'),
            '21': node('ConditioningCombine', conditioning_1=['22', 0], conditioning_2=['23', 0]),
            '22': CAT, '23': encoder(text='a bird'),
        },
        'a cat, a bird, in snow',
    ),
    'control net': (
        {
            '3': ksampler('30') | {}, '6': CAT, '7': DOG,
            '30': node('ControlNetApplyAdvanced', positive=['6', 0], negative=['7', 0], control_net=['31', 0], image=['32', 0]),
            '31': node('ControlNetLoader', control_net_name='depth'), '32': node('LoadImage', image='prompt.png'),
        },
        'a cat',
    ),
    'control net, its outputs swapped': (
        {
            '3': node('KSampler', seed=1, steps=20, positive=['30', 1], negative=['30', 0]), '6': CAT, '7': DOG,
            '30': node('ControlNetApplyAdvanced', positive=['7', 0], negative=['6', 0], control_net=['31', 0]),
        },
        'a cat',
    ),
    'linked text, joined': (
        {
            '3': ksampler('6'), '6': encoder(text=['40', 0]), '7': DOG,
            '40': node('StringConcatenate', string_a=['41', 0], string_b='in snow', delimiter=' '),
            '41': node('PrimitiveStringMultiline', value='a cat'),
        },
        'a cat in snow',
    ),
    "WAS's concatenation": (
        {
            '3': ksampler('6'), '6': encoder(text=['40', 0]), '7': DOG,
            '40': node('Text Concatenate', delimiter=', ', clean_whitespace='true', text_a=['41', 0], text_b=['42', 0]),
            '41': node('Text Multiline', text='a cat'), '42': node('String Literal', string='snow'),
        },
        'a cat, snow',
    ),
    'a shown text is not doubled': (
        {
            '3': ksampler('6'), '6': encoder(text=['40', 0]), '7': DOG,
            '40': node('ShowText|pysssss', text=['41', 0], text_0='a cat'), '41': node('String Literal', string='a cat'),
        },
        'a cat',
    ),
    'what a wildcard became': (
        {
            '3': ksampler('6'), '6': encoder(text=['40', 0]), '7': DOG,
            '40': node('ImpactWildcardProcessor', wildcard_text='a {cat|dog}', populated_text='a cat', mode='populate', seed=1),
        },
        'a cat',
    ),
    'sdxl': (
        {
            '3': ksampler('6'), '7': DOG,
            '6': node('CLIPTextEncodeSDXL', width=1024, height=1024, crop_w=0, crop_h=0, text_g='a cat', text_l='snow', clip=['4', 1]),
        },
        'a cat, snow',
    ),
    'sdxl, both texts from one node': (
        {
            '3': ksampler('6'), '7': DOG, '8': node('PrimitiveString', value='a cat'),
            '6': node('CLIPTextEncodeSDXL', text_g=['8', 0], text_l=['8', 0], clip=['4', 1]),
        },
        'a cat',
    ),
    'sd3 and flux encoders': (
        {'3': ksampler('6'), '7': DOG, '6': node('CLIPTextEncodeFlux', clip=['4', 0], clip_l='a cat', t5xxl='a cat in snow', guidance=3.5)},
        'a cat, a cat in snow',
    ),
    'base and refiner': (
        {
            '1': node('SaveImage', images=['2', 0]), '2': node('VAEDecode', samples=['12', 0], vae=['4', 2]),
            '12': ksampler('16', latent='3'), '16': encoder(text='sharp'),
            '3': ksampler('6'), '6': CAT, '7': DOG,
        },
        'a cat',
    ),
    'an empty positive gives way to the next sampler': (
        {'12': ksampler('16', latent='3'), '16': CAT, '3': ksampler('6'), '6': encoder(text=' '), '7': DOG},
        'a cat',
    ),
    'a zeroed conditioning says nothing': (
        {'3': ksampler('20'), '20': node('ConditioningZeroOut', conditioning=['6', 0]), '6': CAT},
        None,
    ),
    'a switch': (
        {
            '3': ksampler('6'), '6': encoder(text=['40', 0]), '7': DOG, '41': node('String Literal', string='a bird'),
            '40': node('ImpactSwitch', select=2, sel_mode=False, input1=['41', 0], input2=['42', 0]), '42': node('String Literal', string='a cat'),
        },
        'a cat',
    ),
    'a service': ({'1': node('OpenAIDalle3', prompt='a cat', size='1024x1024'), '2': node('SaveImage', images=['1', 0])}, 'a cat'),
    'no text at all': ({'1': node('LoadImage', image='a.png'), '2': node('SaveImage', images=['1', 0])}, None),
}  # fmt: skip


@pytest.mark.parametrize('name', GRAPHS)
def test_the_text_of_the_positive_conditioning(name):
    graph, prompt = GRAPHS[name]
    assert graph_prompt(json.loads(json.dumps(graph))) == prompt


def test_circles_end():
    for graph in (
        {'3': ksampler('6'), '6': encoder(text=['40', 0]), '40': node('Reroute', any=['6', 0])},
        {'3': ksampler('20'), '20': node('ConditioningCombine', conditioning_1=['20', 0], conditioning_2=['20', 0])},
        {'3': ksampler('3', latent='3')},
    ):
        assert graph_prompt(graph) is None
    graph = {'3': ksampler('20'), '20': node('ConditioningCombine', conditioning_1=['20', 0], conditioning_2=['6', 0])}
    assert graph_prompt(graph | {'6': CAT}) == 'a cat'


def test_links_that_multiply_do_not_take_for_ever():
    # each level asks the next one twice: 2 ** 60 ways, 60 nodes
    levels = {str(n): node('ConditioningCombine', conditioning_1=[str(n + 1), 0], conditioning_2=[str(n + 1), 0]) for n in range(10, 70)}  # fmt: skip
    assert graph_prompt({'3': ksampler('10'), **levels, '70': CAT}) == 'a cat'


@pytest.mark.parametrize(
    'graph',
    [None, [], {}, {'1': None}, {'1': {'inputs': []}}, {'3': ksampler('99')}, {'3': node('KSampler', steps=1, positive=[])}],
)  # fmt: skip
def test_what_is_no_graph_has_no_text(graph):
    assert graph_prompt(graph) is None


def test_a_graph_as_it_was_drawn():
    # the front end's format 0.4: links are [number, from node, output, to node, input, type]
    def drawn(number, kind, typed, **links):
        inputs = [{'name': name, 'type': '*', 'link': link} for name, link in links.items()]
        return {'id': number, 'type': kind, 'widgets_values': typed, 'inputs': inputs}

    workflow = {
        'nodes': [
            drawn(3, 'KSampler', [1, 'randomize', 20, 8, 'euler', 'normal', 1], positive=1, negative=2, latent_image=3),
            drawn(6, 'CLIPTextEncode', ['a cat'], clip=None),
            drawn(7, 'CLIPTextEncode', ['dog'], clip=None),
            drawn(5, 'EmptyLatentImage', [512, 512, 1]),
        ],
        'links': [[1, 6, 0, 3, 1, 'CONDITIONING'], [2, 7, 0, 3, 2, 'CONDITIONING'], [3, 5, 0, 3, 3, 'LATENT']],
    }
    assert workflow_prompt(workflow) == 'a cat'
    assert workflow_prompt({'nodes': [], 'links': []}) is None
