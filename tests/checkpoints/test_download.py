"""A download is whole, of the length and hash that were promised, or not kept. All servers are on this machine."""

import errno
import hashlib
from http.client import HTTPResponse
from pathlib import Path

import pytest
import torch
from refusals import refuses
from stand_ins import Page

from pyiqa_moeagiqa.checkpoints import CheckpointError, download, find
from pyiqa_moeagiqa.checkpoints.image_reward import find_image_reward


def left(home) -> list:
    return [path for path in home.rglob('*') if path.is_file()]


@pytest.fixture
def url(tls_server):
    return f'{tls_server.address}/ImageReward.pt'


@pytest.fixture
def body(tmp_path) -> bytes:
    """What begins as ImageReward's file does, and goes on for some time."""
    torch.save({'mlp.layers.0.weight': torch.rand(1000, 1000)}, tmp_path / 'ImageReward.pt')
    return (tmp_path / 'ImageReward.pt').read_bytes()


def stated(digest: str) -> dict[str, str]:
    return {'X-Linked-ETag': f'"{digest}"'}


@pytest.mark.parametrize(
    ('spoil', 'said'),
    [
        (lambda body: Page(body[:-1000], missing=1000), 'cut short'),
        (lambda body: Page(body[:-1000]), 'cut short'),
        (lambda body: Page(body[:5000]), 'cut short'),
        (lambda body: Page(body, headers=stated('0' * 64)), 'its SHA-256 is not the one'),
    ],
)
def test_half_a_file_and_another_than_promised_are_not_kept(tls_server, url, body, moeagiqa_home, spoil, said):
    tls_server.pages['/ImageReward.pt'] = spoil(body)
    with refuses(CheckpointError, url, said):
        find_image_reward(url)
    assert left(moeagiqa_home) == []


def test_the_hash_that_the_hub_states_before_it_redirects_counts(tls_server, url, body, moeagiqa_home):
    stored = f'{tls_server.address}/stored'
    tls_server.pages['/stored'] = Page(body)
    tls_server.pages['/ImageReward.pt'] = Page(status=302, headers=stated('0' * 64) | {'Location': stored})
    with pytest.raises(CheckpointError, match='SHA-256'):
        find_image_reward(url)
    right = stated(hashlib.sha256(body).hexdigest()) | {'Location': stored}
    tls_server.pages['/ImageReward.pt'] = Page(status=302, headers=right)
    assert find_image_reward(url).read_bytes() == body


def test_a_file_that_was_kept_half_is_fetched_again(tls_server, url, body):
    tls_server.pages['/ImageReward.pt'] = Page(body)
    kept = find_image_reward(url)
    kept.write_bytes(body[:-1000])
    assert find_image_reward(url).read_bytes() == body
    assert find_image_reward(url) == kept
    assert len(tls_server.asked) == 2


@pytest.mark.parametrize('announced', [True, False])
def test_what_no_checkpoint_is_as_large_as_is_refused(tls_server, url, body, moeagiqa_home, monkeypatch, announced):
    monkeypatch.setattr(download, 'LARGEST', 2**20)
    tls_server.pages['/ImageReward.pt'] = Page(body)
    if not announced:
        begin = HTTPResponse.begin

        def without_length(answer):
            begin(answer)
            answer.length = None

        monkeypatch.setattr(HTTPResponse, 'begin', without_length)
    with refuses(CheckpointError, url, 'larger than', 'GiB'):
        find_image_reward(url)
    assert left(moeagiqa_home) == []


def test_a_full_disk_is_named_with_its_folder(tls_server, url, body, moeagiqa_home, monkeypatch):
    tls_server.pages['/ImageReward.pt'] = Page(body)

    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(download, '_fetch', full)
    with refuses(CheckpointError, url, 'no room', moeagiqa_home / 'downloads'):
        find_image_reward(url)


@pytest.mark.parametrize(
    'address', ['https://[', 'https://', 'https://a b/c', 'https://\udcff/x', 'https://localhost:x/y']
)
def test_what_is_no_address_is_said(address, moeagiqa_home):
    with refuses(CheckpointError, 'address'):
        find(address)


def test_a_file_of_the_hub_is_compared_with_its_hash(hub, file, tmp_path):
    """The hub's cache names files by the hash that the hub states."""
    content = file.read_bytes()
    for digest, whole in ((hashlib.sha256(content).hexdigest(), True), ('0' * 64, False)):
        name = f'{digest[:8]}.safetensors'
        headers = {'ETag': f'"{digest}"', 'X-Repo-Commit': 40 * 'a'}
        hub.pages[f'/owner/repository/resolve/main/{name}'] = Page(content, headers=headers)
        if whole:
            assert Path(find(f'hf://owner/repository/{name}')).read_bytes() == content
        else:
            with refuses(CheckpointError, f'hf://owner/repository/{name}', 'SHA-256'):
                find(f'hf://owner/repository/{name}')
