"""Encoders from folders of the transformers library and from repositories of the hub, whose place a local server takes."""

import hashlib
import json
import shutil

import pytest
import torch
from clips import LENGTH, MATCHING, NETWORK, bert_folder, copy_of, folder_of, vit_folder
from refusals import refuses
from safetensors.torch import load_file, save_file
from stand_ins import Attack, Page
from tiny import TINY

from pyiqa_moeagiqa.archs.tokenizer import bert_tokenizer, tokenize
from pyiqa_moeagiqa.checkpoints import Checkpoint, CheckpointError, load_network, save
from pyiqa_moeagiqa.checkpoints.partial import portable
from pyiqa_moeagiqa.checkpoints.sources import tokenizer_json, weights_file
from pyiqa_moeagiqa.checkpoints.start import network_config, start_network
from pyiqa_moeagiqa.options import OptionError

ALONE = {'branches': 'semantic'}


@pytest.fixture(scope='session')
def _folders(tmp_path_factory):
    """Folders of a CLIP, a SigLIP, a MobileCLIP and a BERT, and one with the ViT of timm."""
    names = ('clip', 'siglip', 'mobileclip', 'bert', 'vit')
    folders = {name: tmp_path_factory.mktemp('encoders') / name for name in names}
    for family in ('clip', 'siglip', 'mobileclip'):
        folder_of(folders[family], family)
    bert_folder(folders['bert'])
    vit_folder(folders['vit'])
    return folders


@pytest.fixture
def folders(_folders, tmp_path):
    """The same, in copies that a test may change."""
    return {
        name: (copy_of if name == 'mobileclip' else shutil.copytree)(folder, tmp_path / name)
        for name, folder in _folders.items()
    }


def on_hub(hub, folder, repository: str) -> None:
    """Let the local server answer for the repository with the folder's files."""
    for path in folder.iterdir():
        content = path.read_bytes()
        headers = {'ETag': f'"{hashlib.sha256(content).hexdigest()}"', 'X-Repo-Commit': 40 * 'a'}
        hub.pages[f'/{repository}/resolve/main/{path.name}'] = Page(content, headers=headers)
    hub.missing = Page(b'not here', 404, {'X-Error-Code': 'EntryNotFound', 'X-Repo-Commit': 40 * 'a'})


def started(source, **changes):
    return start_network(NETWORK | ALONE | {'weights': {'semantic': str(source)}} | changes)[0]


def as_bert(source, visual, **changes):
    options = TINY | {'semantic_options': {}, 'weights': {'visual': str(visual), 'semantic': str(source)}} | changes
    return start_network(options)[0]


@pytest.mark.parametrize('family', ['clip', 'siglip'])
def test_a_folder_states_sizes_and_holds_weights_and_tokenizer(folders, family):
    network, theirs = started(folders[family]), load_file(folders[family] / 'model.safetensors')
    sizes = network.config.semantic_options
    assert (sizes['family'], sizes['projection_dim']) == (family, MATCHING[family])
    assert sizes['text']['max_position_embeddings'] == LENGTH
    assert sizes['tokenizer_bytes'] == (folders[family] / 'tokenizer.json').stat().st_size
    ours = network.semantic.towers.state_dict()
    assert ours.pop('tokenizer').numpy().tobytes() == (folders[family] / 'tokenizer.json').read_bytes()
    assert all(tensor.equal(theirs[name]) for name, tensor in ours.items())
    assert set(theirs) - set(ours) <= {'logit_scale', 'logit_bias'}


@pytest.mark.parametrize('family', ['clip', 'siglip', 'mobileclip'])
def test_a_checkpoint_describes_itself(folders, family, tmp_path):
    network = started(folders[family]).eval()
    path = save(Checkpoint(network.config, network.state_dict(), {}), tmp_path / 'net.safetensors', half=False)
    shutil.rmtree(folders[family])
    again, _ = load_network(path)
    prompts = ['A red fox', 'two cats']
    ids, mask, _ = tokenize(prompts, LENGTH, again.tokenizer)
    assert ids.equal(tokenize(prompts, LENGTH, network.tokenizer)[0])
    view = torch.rand(2, 3, network.view_size, network.view_size)
    ours, theirs = (one(None, view, ids, mask).targets['quality'].score for one in (again, network))
    assert ours.equal(theirs)


def test_a_checkpoint_in_half_precision_keeps_its_tokenizer(folders, tmp_path):
    network = started(folders['clip'])
    path = save(Checkpoint(network.config, network.state_dict(), {}), tmp_path / 'net.safetensors', half=True)
    content = (folders['clip'] / 'tokenizer.json').read_bytes()
    assert load_network(path)[0].semantic.tokenizer_json == content


def test_a_folder_of_links_keeps_its_tokenizer_beside_its_weights(folders, tmp_path):
    """The hub's cache consists of such folders."""
    (tmp_path / 'blobs').mkdir()
    content = (folders['clip'] / 'tokenizer.json').read_bytes()
    for number, path in enumerate(sorted(folders['clip'].iterdir())):
        path.symlink_to(path.rename(tmp_path / 'blobs' / str(number)))
    noted = portable({'semantic': str(folders['clip'])})['semantic']
    assert tokenizer_json(noted) == content


def test_a_users_own_size_counts(folders):
    own = {'semantic_options': {'text': {'layer_norm_eps': 1e-4}}}
    config = network_config(NETWORK | ALONE | own | {'weights': {'semantic': str(folders['clip'])}})
    assert config.semantic_options['text']['layer_norm_eps'] == 1e-4
    assert config.semantic_options['text']['hidden_size'] == 32
    wrong = {'semantic_options': {'text': {'hidden_size': 64}}}
    with refuses(CheckpointError, folders['clip'], 'misshapen text_model.embeddings'):
        started(folders['clip'], **wrong)


def test_a_bert_loads_without_prefix_pooler_and_heads(folders):
    network, theirs = as_bert(folders['bert'], folders['vit']), load_file(folders['bert'] / 'model.safetensors')
    ours = network.semantic.text.state_dict()
    assert all(tensor.equal(theirs[f'bert.{name}']) for name, tensor in ours.items())
    assert network.config.semantic_options['num_hidden_layers'] == 2
    assert any(name.startswith('cls.') for name in theirs)


def test_a_pytorch_file_is_taken_where_there_is_no_safetensors(folders):
    safe = folders['bert'] / 'model.safetensors'
    torch.save(load_file(safe), folders['bert'] / 'pytorch_model.bin')
    assert weights_file(str(folders['bert'])) == safe
    before = as_bert(folders['bert'], folders['vit']).semantic.text.state_dict()
    safe.unlink()
    after = as_bert(folders['bert'], folders['vit']).semantic.text.state_dict()
    assert all(after[name].equal(before[name]) for name in before)


def test_code_in_a_pytorch_file_is_never_run(folders, tmp_path):
    (folders['bert'] / 'model.safetensors').unlink()
    torch.save({'bert.x': Attack(tmp_path / 'trace')}, folders['bert'] / 'pytorch_model.bin')
    with refuses(CheckpointError, 'could run code'):
        as_bert(folders['bert'], folders['vit'])
    assert not (tmp_path / 'trace').exists()


def test_every_part_comes_from_the_hub(hub, folders):
    for name in ('vit', 'siglip'):
        on_hub(hub, folders[name], f'owner/{name}')
    weights = {'visual': 'hf://owner/vit', 'prior': 'hf://owner/vit/model.safetensors', 'semantic': 'hf://owner/siglip'}
    network = start_network(NETWORK | {'prior': True, 'weights': weights})[0]
    vit, siglip = (load_file(folders[name] / 'model.safetensors') for name in ('vit', 'siglip'))
    assert network.visual.patch_embed.proj.weight.equal(vit['patch_embed.proj.weight'])
    assert network.prior.norm.weight.equal(vit['norm.weight'])
    name = 'text_model.head.weight'
    assert network.semantic.towers.get_parameter(name).equal(siglip[name])
    assert network.config.semantic_options['family'] == 'siglip'


def test_a_mobileclip_comes_from_the_hub(hub, folders):
    on_hub(hub, folders['mobileclip'], 'owner/mobileclip')
    network, theirs = started('hf://owner/mobileclip'), load_file(folders['mobileclip'] / 'open_clip_model.safetensors')
    assert network.config.semantic_options['mobile']['name'] == 'fastvit_mci0'
    assert network.semantic.towers.trunk.head.fc.weight.equal(theirs['visual.trunk.head.fc.weight'])


def test_a_bert_comes_from_the_hub(hub, folders):
    on_hub(hub, folders['bert'], 'owner/bert')
    network = as_bert('hf://owner/bert', folders['vit'])
    assert network.config.semantic_options['hidden_size'] == 32


def test_what_was_fetched_once_is_there_when_the_hub_is_not(hub, folders, monkeypatch):
    from huggingface_hub import constants

    on_hub(hub, folders['bert'], 'owner/bert')
    before = as_bert('hf://owner/bert', folders['vit']).state_dict()
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    after = as_bert('hf://owner/bert', folders['vit']).state_dict()
    assert after.keys() == before.keys()


def test_a_repository_without_weights_is_said(hub, folders):
    (folders['clip'] / 'model.safetensors').unlink()
    on_hub(hub, folders['clip'], 'owner/clip')
    with refuses(CheckpointError, 'hf://owner/clip', 'no model.safetensors and no pytorch_model.bin'):
        started('hf://owner/clip')


@pytest.mark.parametrize('source', ['hf://owner', 'hf://', 'hf:///name'])
def test_half_a_name_on_the_hub_is_said(source):
    with refuses(CheckpointError, source, 'write hf://owner/repository'):
        weights_file(source)


def test_a_hub_that_does_not_answer_is_said(folders, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    with refuses(CheckpointError, 'hf://owner/clip', 'could not be fetched'):
        started('hf://owner/clip')


def change_json(path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (lambda folder: (folder / 'tokenizer.json').unlink(), 'it has no tokenizer.json'),
        (lambda folder: (folder / 'tokenizer.json').write_text('{}'), 'its tokenizer.json cannot be used'),
        (lambda folder: (folder / 'tokenizer.json').write_bytes(b'\xff'), 'its tokenizer.json cannot be used'),
        (lambda folder: (folder / 'tokenizer_config.json').unlink(), 'names no pad_token'),
        (lambda folder: change_json(folder / 'tokenizer_config.json', pad_token='[nothing]'), 'names no pad_token'),
        (lambda folder: change_json(folder / 'config.json', model_type='siglip2'), "describes a 'siglip2'"),
        (lambda folder: change_json(folder / 'config.json', text_config=3), 'its config.json cannot be used'),
        (lambda folder: (folder / 'config.json').write_text('[1]'), 'config.json cannot be read'),
        (lambda folder: (folder / 'config.json').write_text('{'), 'config.json cannot be read'),
        (lambda folder: (folder / 'model.safetensors').unlink(), 'no model.safetensors and no pytorch_model.bin'),
    ],
)
def test_what_is_wrong_in_a_folder_is_said(folders, spoil, words):
    spoil(folders['clip'])
    with refuses(CheckpointError, folders['clip'], words):
        started(folders['clip'])


def test_a_tokenizer_at_which_the_library_panics_is_refused(folders):
    path = folders['siglip'] / 'tokenizer.json'
    post_processor = json.loads(path.read_text())['post_processor'] | {'special_tokens': {}}
    change_json(path, post_processor=post_processor)
    with refuses(CheckpointError, folders['siglip'], 'its tokenizer.json cannot be used'):
        started(folders['siglip'])


def test_a_tokenizer_that_adds_many_tokens_is_refused(folders):
    path = folders['siglip'] / 'tokenizer.json'
    content = json.loads(path.read_text())
    prompt, end = content['post_processor']['single']
    content['post_processor']['single'] = [end, prompt, end, end]
    path.write_text(json.dumps(content))
    with refuses(CheckpointError, folders['siglip'], 'its tokenizer adds 3 tokens to a prompt'):
        started(folders['siglip'])


def test_a_family_that_the_folder_is_not_is_refused(folders):
    with refuses(OptionError, 'prompt_tokens is 15', "'siglip'"):
        started(folders['siglip'], prompt_tokens=15)
    with refuses(CheckpointError, folders['bert'], "describes a 'bert', but semantic is 'clip'"):
        started(folders['bert'])
    with refuses(CheckpointError, folders['clip'], "describes a 'clip', but semantic is 'bert'"):
        as_bert(folders['clip'], folders['vit'])
    with refuses(CheckpointError, folders['clip'], 'missing vision_model.embeddings.patch_embedding.bias'):
        started(folders['clip'], semantic_options={'family': 'siglip', 'projection_dim': 32}, prompt_tokens=LENGTH)


def test_a_foreign_vocabulary_is_refused(folders):
    """A tokenizer with more words than the text encoder has, and BERTs with other words than those of this package."""
    shutil.copy(folders['siglip'] / 'tokenizer.json', folders['clip'] / 'tokenizer.json')
    change_json(folders['clip'] / 'tokenizer_config.json', pad_token='<pad>')
    config = json.loads((folders['clip'] / 'config.json').read_text())
    config['text_config']['vocab_size'] = 40
    (folders['clip'] / 'config.json').write_text(json.dumps(config))
    weights = load_file(folders['clip'] / 'model.safetensors')
    name = 'text_model.embeddings.token_embedding.weight'
    save_file(weights | {name: weights[name][:40].clone()}, folders['clip'] / 'model.safetensors')
    with refuses(CheckpointError, folders['clip'], 'its text encoder has 40 words, but prompts have 284'):
        started(folders['clip'])
    shutil.copy(folders['siglip'] / 'tokenizer.json', folders['bert'] / 'tokenizer.json')
    with refuses(CheckpointError, folders['bert'], "its vocabulary is not BERT's uncased one"):
        as_bert(folders['bert'], folders['vit'])


def test_a_bert_with_few_words_or_places_is_refused(folders, tmp_path):
    for sizes, words in (({'vocab_size': 28996}, '28996 words, but prompts have 30522'),
                         ({'max_position_embeddings': 30}, '30 places, but prompts have 35')):  # fmt: skip
        shutil.rmtree(folders['bert'])
        bert_folder(folders['bert'], **sizes)
        with refuses(CheckpointError, folders['bert'], words):
            as_bert(folders['bert'], folders['vit'])


def test_a_bert_with_the_right_words_is_taken(folders):
    bert_tokenizer().encoder.save(str(folders['bert'] / 'tokenizer.json'))
    assert as_bert(folders['bert'], folders['vit']).config.semantic == 'bert'


@pytest.mark.parametrize('content', [b'', b'{}', b'[1]'])
def test_a_checkpoint_with_no_usable_tokenizer_is_refused(folders, tmp_path, content):
    network = started(folders['clip'])
    options = network.config.semantic_options | {'tokenizer_bytes': len(content)}
    config = network.config.changed(semantic_options=options)
    weights = network.state_dict() | {'semantic.towers.tokenizer': torch.tensor(list(content), dtype=torch.uint8)}
    path = save(Checkpoint(config, weights, {}), tmp_path / 'net.safetensors')
    with refuses(CheckpointError, path, 'tokenizer'):
        load_network(path)


def test_a_tokenizer_of_numbers_is_refused(folders, tmp_path):
    network = started(folders['clip'])
    weights = network.state_dict()
    weights |= {'semantic.towers.tokenizer': weights['semantic.towers.tokenizer'].float()}
    path = save(Checkpoint(network.config, weights, {}), tmp_path / 'net.safetensors')
    with refuses(CheckpointError, path, 'tokenizer'):
        load_network(path)
