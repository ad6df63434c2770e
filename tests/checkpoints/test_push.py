"""``moeagiqa weights push`` through the hub's own client, to a hub on this machine."""

from dataclasses import replace

import pyiqa
import pytest
import torch
from command_line import refused, run
from huggingface_hub import ModelCard, constants

from pyiqa_moeagiqa.checkpoints import save
from pyiqa_moeagiqa.checkpoints.card import model_card
from pyiqa_moeagiqa.checkpoints.partial import fingerprint

OWN_CARD = """---
license: cc-by-4.0
tags:
- mine
language: en
model-index:
- name: older
  results:
  - task: {type: image-quality-assessment}
    dataset: {name: AGIQA-1K, type: agiqa-1k}
    metrics: [{type: spearmanr, value: 0.5}]
---

My own words.
"""


def scored(weights: object) -> torch.Tensor:
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(weights))
    return metric(torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64), caption_list=['a cat'])


def test_a_pushed_checkpoint_scores_by_its_address_and_its_card_says_what_its_header_does(writable_hub, file):
    said = run('weights', 'push', file, 'me/scorer').stdout
    assert said == 'Uploaded: hf://me/scorer/tiny.safetensors\n'
    assert scored('hf://me/scorer/tiny.safetensors').equal(scored(file))
    repository = writable_hub.repositories['me/scorer']
    assert (sorted(repository.files), repository.private) == (['README.md', 'tiny.safetensors'], False)
    card = ModelCard(repository.files['README.md'].decode())
    assert (card.data.license, card.data.library_name, card.data.datasets) == ('mit', 'pyiqa-moeagiqa', ['agiqa-3k'])
    assert card.data.metrics == ['spearmanr', 'pearsonr']
    found = {(result.dataset_name, result.metric_name): result.metric_value for result in card.data.eval_results}
    assert found == {('AGIQA-3K', 'SRCC'): 0.8123, ('AGIQA-3K', 'PLCC'): 0.8712}
    assert "pretrained_model_path='hf://me/scorer/tiny.safetensors'" in card.text


def test_a_dry_run_shows_files_and_card_and_asks_nothing(writable_hub, file):
    said = run('weights', 'push', file, 'me/scorer', '--dry-run').stdout
    files, _, card = said.partition('\n\n')
    assert files.splitlines()[0] == f'tiny.safetensors: {file.stat().st_size:,} bytes'
    assert writable_hub.asked == []
    run('weights', 'push', file, 'me/scorer')
    assert card.strip() == writable_hub.repositories['me/scorer'].files['README.md'].decode().strip()


def test_a_card_that_is_there_keeps_its_text_and_its_licence(writable_hub, file):
    writable_hub.add('me/scorer', files={'README.md': OWN_CARD.encode()})
    run('weights', 'push', file, 'me/scorer')
    card = ModelCard(writable_hub.repositories['me/scorer'].files['README.md'].decode())
    assert card.text == '\nMy own words.\n'
    assert (card.data.license, card.data['language']) == ('cc-by-4.0', 'en')
    assert card.data.tags == ['mine', 'image-quality-assessment', 'moe-agiqa', 'pyiqa', 'text-to-image']
    assert {result.dataset_name for result in card.data.eval_results} == {'AGIQA-3K'}, (
        'older figures are of older weights'
    )


def test_a_card_that_cannot_be_read_stays_as_it_is(writable_hub, file):
    writable_hub.add('me/scorer', files={'README.md': b'---\n- a list\n---\n'})
    assert 'README.md on the hub has metadata that cannot be read' in refused('weights', 'push', file, 'me/scorer')
    assert list(writable_hub.repositories['me/scorer'].files) == ['README.md']


def test_private_is_private_and_nothing_goes_where_all_can_see_it(writable_hub, file):
    run('weights', 'push', file, 'me/hidden', '--private')
    assert writable_hub.repositories['me/hidden'].private
    writable_hub.add('me/open')
    assert 'me/open: it is public already' in refused('weights', 'push', file, 'me/open', '--private')
    assert writable_hub.repositories['me/open'].files == {}


def test_a_checkpoint_of_trained_tensors_alone_is_pushed_whole(writable_hub, tmp_path, checkpoint):
    save(checkpoint, tmp_path / 'source.safetensors')
    frozen = checkpoint.subset('visual')
    trained = {name: tensor for name, tensor in checkpoint.weights.items() if not name.startswith('visual.')}
    sources = {'checkpoint': str(tmp_path / 'source.safetensors')}
    note = {
        'fingerprint': fingerprint({f'visual.{name}': tensor for name, tensor in frozen.items()}),
        'weights': sources,
    }
    partial = replace(checkpoint, weights=trained, info=checkpoint.info | {'frozen': note})
    path = save(partial, tmp_path / 'net_best.safetensors')
    run('weights', 'push', path, 'me/scorer')
    pushed = tmp_path / 'elsewhere' / 'pushed.safetensors'
    pushed.parent.mkdir()
    pushed.write_bytes(writable_hub.repositories['me/scorer'].files['net_best.safetensors'])
    assert str(tmp_path).encode() not in pushed.read_bytes(), 'no path of this machine is published'
    assert scored(pushed).equal(scored(path))


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('theirs/new', 'theirs/new: your token may not write there'),
        ('theirs/scorer', 'theirs/scorer: your token may not write there'),
        ('scorer', 'scorer: it has no owner; write OWNER/NAME'),
        ('hf://me/scorer', 'hf://me/scorer: it cannot be a repository'),
    ],
)
def test_a_name_that_is_not_ones_own_is_said(writable_hub, file, name, words):
    writable_hub.add('theirs/scorer', may_write=False)
    assert words in refused('weights', 'push', file, name)
    assert writable_hub.repositories['theirs/scorer'].files == {}


def test_a_missing_or_wrong_login_and_a_missing_hub_are_said(writable_hub, file, monkeypatch):
    monkeypatch.setenv('HF_TOKEN', 'hf_other')
    assert 'me/scorer: the hub does not accept your token' in refused('weights', 'push', file, 'me/scorer')
    monkeypatch.delenv('HF_TOKEN')
    monkeypatch.delenv('HUGGING_FACE_HUB_TOKEN', raising=False)
    assert 'me/scorer: you are not logged in; run "hf auth login"' in refused('weights', 'push', file, 'me/scorer')
    monkeypatch.setenv('HF_TOKEN', writable_hub.token)
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    assert 'me/scorer: it could not be uploaded (' in refused('weights', 'push', file, 'me/scorer')
    assert writable_hub.repositories == {}


def test_a_file_that_no_one_could_score_with_is_not_uploaded(writable_hub, tmp_path, checkpoint):
    weights = {name: tensor for name, tensor in checkpoint.weights.items() if 'gate' not in name}
    path = save(replace(checkpoint, weights=weights), tmp_path / 'cut.safetensors')
    refused('weights', 'push', path, 'me/scorer')
    refused('weights', 'push', tmp_path / 'gone.safetensors', 'me/scorer')
    assert writable_hub.asked == []


@pytest.mark.parametrize(
    ('licence', 'expected'),
    [
        ('Apache-2.0 (encoders: MIT)', ('apache-2.0', None)),
        ('unknown: that of the data', ('unknown', None)),
        ("their authors' terms", ('other', 'their-authors-terms')),
    ],
)
def test_licences_have_the_hubs_names(checkpoint, tmp_path, licence, expected):
    info = checkpoint.info | {'licence': licence, 'figures': {}, 'dataset': 'unknown'}
    card = model_card(save(replace(checkpoint, info=info), tmp_path / 'tiny.safetensors'), 'me/scorer')
    assert (card.data.get('license'), card.data.get('license_name')) == expected
    assert not {'model-index', 'datasets', 'metrics'} & set(card.data.to_dict())
