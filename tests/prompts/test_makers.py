"""What writers make of the places for text, beyond the cases: character codes, graphs alone, settings as JSON."""

import json

import pytest
from graphs_of_extensions import enc, g, ks
from PIL import Image
from written import INFOTEXT, node, png, with_comment

from pyiqa_moeagiqa.prompts import metadata_prompt, prompt_candidates
from pyiqa_moeagiqa.prompts.charsets import comment_text


@pytest.mark.parametrize(
    'value',
    [
        b'UNICODE\0' + INFOTEXT.encode(),  # UTF-8 where UTF-16 belongs
        b'Unicode\0' + INFOTEXT.encode('utf-16-le'),
        b'\xff\xfe' + INFOTEXT.encode('utf-16-le'),
        b'\xfe\xff' + INFOTEXT.encode('utf-16-be'),
        INFOTEXT.encode('utf-16-le'),
        b'UNICODE\0\xff\xfe' + INFOTEXT.encode('utf-16-le') + b'\0\0',
        b'ASCII\0\0\0charset=Unicode ' + INFOTEXT.encode(),
        b'charset="UTF-8" ' + INFOTEXT.encode(),
        b'UTF-8\0\0\0' + INFOTEXT.encode(),
        b'JIS\0\0\0\0\0' + INFOTEXT.encode(),
        INFOTEXT,
        'UNICODE\0' + INFOTEXT,
    ],
    ids=str,
)
def test_a_comment_in_any_code(value):
    assert comment_text(value) == INFOTEXT


def test_a_comment_in_other_letters():
    text = '嵐の灯台、夜'
    for value in (
        b'UNICODE\0' + text.encode('utf-16-be'),
        b'UNICODE\0' + text.encode(),
        b'JIS\0\0\0\0\0' + text.encode('iso2022_jp'),
        b'JIS\0\0\0\0\0' + text.encode('shift_jis'),
        text.encode(),
        bytes(8) + text.encode(),
    ):
        assert comment_text(value) == text
    assert comment_text('café'.encode('latin-1')) == 'café'
    assert comment_text(b'ASCII me a question') == 'ASCII me a question'
    assert comment_text(b'') == comment_text(3) == comment_text(None) == ''


def test_infotext_as_a_gif_and_a_jpeg_say_it(tmp_path):
    # stable-diffusion-webui, modules/images.py: save_image_with_geninfo writes a GIF's comment
    Image.new('P', (8, 8)).save(tmp_path / 'a.gif', comment=INFOTEXT.encode())
    assert metadata_prompt(tmp_path / 'a.gif') == ('a red cat, snow', 'GIF metadata of AUTOMATIC1111')
    Image.new('RGB', (8, 8)).save(tmp_path / 'b.jpg', comment=b'made with love')
    assert metadata_prompt(tmp_path / 'b.jpg') is None


def invokeai(kind, field, negative='dog'):
    nodes = {
        'a': {'id': 'a', 'type': kind, 'prompt': 'a cat'},
        'b': {'id': 'b', 'type': kind, 'prompt': negative},
        'd': {'id': 'd', 'type': 'denoise_latents', 'steps': 20},
    }
    links = [('a', 'd', f'positive_{field}'), ('b', 'd', f'negative_{field}')]
    edges = [
        {'source': {'node_id': one, 'field': field}, 'destination': {'node_id': two, 'field': to}}
        for one, two, to in links
    ]
    return {'nodes': nodes, 'edges': edges}


def test_invokeais_graph_alone(tmp_path):
    # invokeai/app/invocations: compel.py, flux_text_encoder.py, denoise_latents.py, flux_denoise.py
    for graph in (invokeai('compel', 'conditioning'), invokeai('flux_text_encoder', 'text_conditioning')):
        assert metadata_prompt(png(tmp_path / 'a.png', invokeai_graph=json.dumps(graph)))[0] == 'a cat'
    drawn = {
        'nodes': [
            {'id': 'a', 'data': {'type': 'compel', 'inputs': {'prompt': {'name': 'prompt', 'value': 'a cat'}}}},
            {'id': 'b', 'data': {'type': 'compel', 'inputs': {'prompt': {'name': 'prompt', 'value': 'dog'}}}},
            {'id': 'd', 'data': {'type': 'denoise_latents', 'inputs': {'steps': {'value': 20}}}},
        ],
        'edges': [
            {'source': 'b', 'sourceHandle': 'conditioning', 'target': 'd', 'targetHandle': 'negative_conditioning'},
            {'source': 'a', 'sourceHandle': 'conditioning', 'target': 'd', 'targetHandle': 'positive_conditioning'},
        ],
    }
    assert metadata_prompt(png(tmp_path / 'b.png', invokeai_workflow=json.dumps(drawn)))[0] == 'a cat'


@pytest.mark.parametrize(
    ('settings', 'prompt'),
    [
        ({'prompt': 'a cat', 'seed': 3, 'model': 'flux'}, 'a cat'),  # pollinations.ai
        ({'extraMetadata': json.dumps({'prompt': 'a cat', 'negativePrompt': 'dog', 'steps': 20})}, 'a cat'),  # Civitai
        ({'prompt': [{'text': 'a cat', 'weight': 1}, {'text': 'dog', 'weight': -1}], 'seed': 1}, 'a cat'),  # imaginAIry
        ({'prompt': 'please pay at the desk'}, None),
        ({'prompt': {'a': 1}, 'seed': 1}, None),
        ({'seed': 1}, None),
    ],
)
def test_settings_as_json(tmp_path, settings, prompt):
    found = metadata_prompt(with_comment(tmp_path / 'a.jpg', b'ASCII\0\0\0' + json.dumps(settings).encode()))
    assert (found and found[0]) == prompt


def test_iptcs_caption_of_mochi_diffusion(tmp_path):
    # MochiDiffusion/Model/SDImage.swift: metadata() joins these parts by semicolons
    caption = b'Include in Image: a cat; in snow; Exclude from Image: dog; Model: m; Generator: Mochi Diffusion 5.0'
    record = b'\x1c\x02\x78' + len(caption).to_bytes(2, 'big') + caption
    resource = b'8BIM\x04\x04\0\0' + len(record).to_bytes(4, 'big') + record + b'\0' * (len(record) % 2)
    data = b'Photoshop 3.0\0' + resource
    path = tmp_path / 'a.jpg'
    Image.new('RGB', (8, 8)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:2] + b'\xff\xed' + (len(data) + 2).to_bytes(2, 'big') + data + whole[2:])
    assert metadata_prompt(path) == ('a cat; in snow', 'JPEG metadata of Mochi Diffusion')


def test_what_a_node_showed_when_it_had_run_stands_in_the_drawing(tmp_path):
    # ComfyUI-Custom-Scripts, py/show_text.py: the node's widgets_values are changed in extra_pnginfo
    shown, caption = (
        node('ShowText|pysssss', text=['21', 0], text_0='of the run before'),
        node('Florence2Run', task='caption'),
    )
    run = json.dumps(g(_3=ks(('6', 0)), _6=enc(['20', 0]), _20=node('ShowText|pysssss', text=['21', 0]), _21=caption))
    drawing = json.dumps(
        {'nodes': [{'id': 20, 'type': 'ShowText|pysssss', 'widgets_values': [['a cat']]}], 'links': []}
    )
    assert metadata_prompt(png(tmp_path / 'a.png', prompt=run, workflow=drawing))[0] == 'a cat'
    assert metadata_prompt(png(tmp_path / 'b.png', prompt=run)) is None
    stored = json.dumps(g(_3=ks(('6', 0)), _6=enc(['20', 0]), _20=shown, _21=caption))
    assert metadata_prompt(png(tmp_path / 'c.png', prompt=stored))[0] == 'of the run before'


def test_candidates_of_a_file(tmp_path):
    other = {
        '13': ks(('16', 0)),
        '16': enc('a (harbour:1.2)'),
        '18': node('VAEDecode', samples=['13', 0]),
        '19': node('SaveImage', images=['18', 0]),
    }
    path = png(tmp_path / 'a.png', prompt=json.dumps(g(_3=ks(('6', 0)), _6=enc('a lighthouse')) | other))
    assert metadata_prompt(path) is None
    assert prompt_candidates(path) == ('a lighthouse', 'a harbour')
    assert prompt_candidates(png(tmp_path / 'b.png')) == prompt_candidates(tmp_path / 'gone.png') == ()
