"""Where checkpoints are found, and what is said where they are not. All servers are on this machine."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from refusals import refuses
from stand_ins import Page, hub_page

from pyiqa_moeagiqa.checkpoints import CheckpointError, find, install, load_network, save
from pyiqa_moeagiqa.metrics.moeagiqa import MoEAGIQAMetric

FULL_SIZE = ['moeagiqa-v1', 'moeagiqa-v2']


@pytest.fixture
def stand_in(checkpoint, with_prior, tmp_path):
    """Makes a tiny checkpoint that says it is moeagiqa-v1 or -v2."""

    def make(name):
        chosen = {'moeagiqa-v1': checkpoint, 'moeagiqa-v2': with_prior}[name]
        return save(replace(chosen, info=chosen.info | {'model_name': name}), tmp_path / f'{name}-stand-in.safetensors')

    return make


@pytest.mark.parametrize('name', FULL_SIZE)
def test_without_weights_no_score_but_how_to_get_them(name):
    with refuses(CheckpointError, name, 'moeagiqa convert', 'weights install FILE', 'pretrained_model_path=FILE'):
        MoEAGIQAMetric(name)


def test_the_embedded_model_lies_in_the_package():
    import pyiqa_moeagiqa

    assert find('moeagiqa').is_relative_to(pyiqa_moeagiqa.__path__[0])


def test_a_file_is_itself(file):
    assert find(file) == find(str(file)) == file


def test_a_file_under_the_users_folder_is_found(file, monkeypatch):
    monkeypatch.setenv('HOME', str(file.parent))
    assert find('~/tiny.safetensors') == file


@pytest.mark.parametrize('name', FULL_SIZE)
def test_an_installed_checkpoint_answers_to_its_name(stand_in, moeagiqa_home, name):
    source = stand_in(name)
    installed = install(source)
    source.unlink()
    assert installed.parent == moeagiqa_home
    assert find(name) == installed
    assert MoEAGIQAMetric(name).info['model_name'] == name
    for other in set(FULL_SIZE) - {name}:
        with pytest.raises(CheckpointError, match='has no weights yet'):
            find(other)


def test_another_networks_checkpoint_is_not_installed(file, moeagiqa_home):
    with refuses(CheckpointError, file, "'tiny'", 'pretrained_model_path'):
        install(file)
    assert not moeagiqa_home.exists()


def test_a_v2_without_prior_is_not_installed(checkpoint, tmp_path):
    path = save(replace(checkpoint, info={'model_name': 'moeagiqa-v2'}), tmp_path / 'v2.safetensors')
    with refuses(CheckpointError, path, 'moeagiqa-v2', 'no prior'):
        install(path)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-10])


def not_finite(path):
    path.write_bytes(path.read_bytes()[:-4] + np.float32('nan').tobytes())


@pytest.mark.parametrize(('damage', 'said'), [(cut_short, 'cut short'), (not_finite, 'NaN')])
def test_a_damaged_checkpoint_does_not_replace_the_installed_one(stand_in, damage, said):
    installed = install(stand_in('moeagiqa-v1'))
    before = installed.read_bytes()
    broken = stand_in('moeagiqa-v1')
    damage(broken)
    with pytest.raises(CheckpointError, match=said):
        install(broken)
    assert installed.read_bytes() == before


def test_a_copy_that_fails_leaves_the_installed_one_whole(stand_in, monkeypatch):
    source = stand_in('moeagiqa-v1')
    installed = install(source)
    before = installed.read_bytes()

    def disk_full(source, target):
        target.write_bytes(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(shutil, 'copyfile', disk_full)
    with pytest.raises(OSError, match='No space left'):
        install(source)
    assert installed.read_bytes() == before
    assert list(installed.parent.iterdir()) == [installed]


def test_another_network_under_a_full_size_name_does_not_answer(file, moeagiqa_home):
    moeagiqa_home.mkdir()
    path = moeagiqa_home / 'moeagiqa-v2.safetensors'
    shutil.copyfile(file, path)
    with refuses(CheckpointError, path, "'tiny'", 'weights install'):
        MoEAGIQAMetric('moeagiqa-v2')


def test_plain_http_is_refused():
    with refuses(CheckpointError, 'http://localhost/tiny.safetensors', 'https://'):
        find('http://localhost/tiny.safetensors')


def test_an_https_address_is_downloaded_once(tls_server, file, network):
    tls_server.pages['/tiny.safetensors?download=1'] = Page(file.read_bytes())
    url = f'{tls_server.address}/tiny.safetensors?download=1'
    assert load_network(find(url))[0].config == network.config
    assert find(url).read_bytes() == file.read_bytes()
    assert tls_server.asked == ['GET /tiny.safetensors?download=1']


def left(home) -> list:
    return [path for path in home.rglob('*') if path.is_file()]


@pytest.mark.parametrize(
    ('spoil', 'said'),
    [
        (lambda body: Page(body, status=404), '404'),
        (lambda body: Page(body, status=500), '500'),
        (lambda body: Page(body[:-1000]), 'cut short'),
        (lambda body: Page(body[:-1000], missing=1000), 'cut short'),
        (lambda body: Page(b'<!doctype html><title>Sign in</title>'), 'no safetensors file'),
        (lambda body: Page(b''), 'cut short'),
        (lambda body: Page(status=302, headers={'Location': 'http://localhost:1/tiny.safetensors'}), 'not https'),
    ],
)
def test_a_download_that_fails_is_not_kept(tls_server, file, moeagiqa_home, spoil, said):
    tls_server.pages['/tiny.safetensors'] = spoil(file.read_bytes())
    url = f'{tls_server.address}/tiny.safetensors'
    with refuses(CheckpointError, url, said) as refused:
        find(url)
    assert '.part' not in str(refused.value)
    assert left(moeagiqa_home) == []


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_server, file, monkeypatch, moeagiqa_home):
    monkeypatch.delenv('SSL_CERT_FILE')
    tls_server.pages['/tiny.safetensors'] = Page(file.read_bytes())
    with refuses(CheckpointError, 'CERTIFICATE_VERIFY_FAILED'):
        find(f'{tls_server.address}/tiny.safetensors')
    assert left(moeagiqa_home) == []


def test_an_address_where_nobody_answers_is_named(moeagiqa_home):
    with refuses(CheckpointError, 'https://localhost:1/tiny.safetensors', 'could not be downloaded'):
        find('https://localhost:1/tiny.safetensors')


ON_THE_HUB = 'hf://owner/repository/folder/tiny.safetensors'
PATH_ON_THE_HUB = '/owner/repository/resolve/main/folder/tiny.safetensors'


def test_a_file_on_the_hub_is_downloaded_once(hub, file, network):
    hub.pages[PATH_ON_THE_HUB] = hub_page(file.read_bytes())
    assert load_network(find(ON_THE_HUB))[0].config == network.config
    assert find(ON_THE_HUB).read_bytes() == file.read_bytes()
    assert hub.asked.count(f'GET {PATH_ON_THE_HUB}') == 1


def test_a_file_from_the_hub_is_there_offline(hub, file, monkeypatch):
    hub.pages[PATH_ON_THE_HUB] = hub_page(file.read_bytes())
    find(ON_THE_HUB)
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    assert find(ON_THE_HUB).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ('page', 'said'),
    [
        (Page(status=404, headers={'X-Error-Code': 'EntryNotFound', 'X-Repo-Commit': 40 * 'a'}), '404'),
        (Page(status=401, headers={'X-Error-Code': 'RepoNotFound'}), '401'),
        (hub_page(b'<!doctype html><title>Sign in</title>'), 'no safetensors file'),
    ],
)
def test_a_file_that_the_hub_does_not_give_is_named(hub, page, said):
    hub.pages[PATH_ON_THE_HUB] = page
    with refuses(CheckpointError, ON_THE_HUB, said):
        find(ON_THE_HUB)


@pytest.mark.parametrize('source', ['hf://owner/repository', 'hf://tiny.safetensors', 'hf://owner//tiny.safetensors'])
def test_an_incomplete_hub_address_is_refused(source):
    with refuses(CheckpointError, source, 'hf://owner/repository/file'):
        find(source)
