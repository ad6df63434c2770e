"""Prompts in files beside an image."""

import json

import pytest
from written import INFOTEXT, png

from pyiqa_moeagiqa.prompts import Found, SidecarError, find_prompt, sidecar_prompt
from pyiqa_moeagiqa.prompts.sidecars import LARGEST


@pytest.mark.parametrize(
    ('name', 'text', 'prompt'),
    [
        ('cat.txt', ' a cat (orange),\nin snow\n', 'a cat (orange),\nin snow'),
        ('cat.caption', 'a cat', 'a cat'),
        ('cat.png.txt', 'a cat', 'a cat'),
        ('cat.txt', INFOTEXT, 'a (red:1.2) cat, <lora:film:0.8> snow'),
        ('cat.txt', '\ufeffa cat', 'a cat'),
        ('cat.txt', 'a cat 猫'.encode('utf-16'), 'a cat 猫'),
        ('cat.json', json.dumps({'caption': 'a cat', 'tags': ['x']}), 'a cat'),
        ('cat.json', json.dumps({'text': 'no', 'prompt': 'a cat'}), 'a cat'),
        ('cat.json', json.dumps({'Prompt': 'a cat', 'caption': 3}), 'a cat'),
        ('cat.png.json', json.dumps({'text': 'a cat'}), 'a cat'),
        ('cat.json', json.dumps({'prompt': INFOTEXT}), 'a (red:1.2) cat, <lora:film:0.8> snow'),
        ('cat.txt', ' \n', None),
        ('cat.json', '{"prompt": 3, "6": {"class_type": "x"}}', None),
        ('cat.json', '["a cat"]', None),
        ('cat.json', '{"prompt": "a', None),
        ('cat.json', '[' * 100_000, None),
        ('cat.json', b'{"prompt": "\xe4"}', None),
        ('cats.txt', 'a cat', None),
    ],
)
def test_a_file_beside_it(tmp_path, name, text, prompt):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert sidecar_prompt(tmp_path / 'cat.png') == prompt


def test_a_name_with_dots(tmp_path):
    (tmp_path / 'cat.v1.txt').write_text('a cat')
    assert sidecar_prompt(tmp_path / 'cat.v1.png') == 'a cat'


@pytest.mark.parametrize(
    ('data', 'words'),
    [(b'ein B\xe4r', 'cat.txt is not UTF-8 text; save it'), (b'a' * (LARGEST + 9), 'more than 20000 characters')],
)
def test_a_text_file_that_is_none_is_named(tmp_path, data, words):
    (tmp_path / 'cat.txt').write_bytes(data)
    with pytest.raises(SidecarError, match=words):
        sidecar_prompt(tmp_path / 'cat.png')


def test_what_lies_beside_comes_before_what_is_within(tmp_path):
    path = png(tmp_path / 'cat.png', parameters=INFOTEXT)
    within = Found('a red cat, snow', 'PNG metadata of AUTOMATIC1111')
    assert find_prompt(path) == within
    (tmp_path / 'cat.txt').write_text('a cat')
    assert find_prompt(str(path)) == Found('a cat', 'sidecars')
    assert find_prompt(path, ('metadata',)) == within
    (tmp_path / 'cat.txt').write_text('')
    assert find_prompt(path) == within
    assert find_prompt(path, ('sidecar',)) is None
