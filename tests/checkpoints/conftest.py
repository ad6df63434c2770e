"""Tiny checkpoints, stand-ins of the released files, and servers on this machine: nothing here leaves it."""

import shutil
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from stand_ins import INFO, Server, write_released
from tiny import config
from writable_hub import WritableHub

from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints import Checkpoint, save


@pytest.fixture(autouse=True)
def moeagiqa_home(tmp_path, monkeypatch) -> Path:
    """An empty MOEAGIQA_HOME, so that no test sees what is installed on this machine."""
    monkeypatch.setenv('MOEAGIQA_HOME', str(tmp_path / 'home'))
    return tmp_path / 'home'


@pytest.fixture(scope='session')
def network() -> MoEAGIQA:
    torch.manual_seed(0)
    return MoEAGIQA(config()).eval()


@pytest.fixture
def checkpoint(network) -> Checkpoint:
    """The tiny network's; its tensors are copies, which a test may change."""
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    return Checkpoint(network.config, weights, INFO | {})


@pytest.fixture
def file(checkpoint, tmp_path) -> Path:
    return save(checkpoint, tmp_path / 'tiny.safetensors')


@pytest.fixture(scope='session')
def with_prior() -> Checkpoint:
    """A tiny network with prior whose w1 and w2 are not constant."""
    torch.manual_seed(1)
    network = MoEAGIQA(config(prior=True))
    torch.nn.init.normal_(network.inject.w1)
    torch.nn.init.normal_(network.inject.w2)
    return Checkpoint(network.config, network.state_dict(), INFO | {'model_name': 'moeagiqa-v2'})


@pytest.fixture(scope='session')
def _released(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('released') / 'files'
    write_released(folder)
    return folder


@pytest.fixture
def released(_released, tmp_path, monkeypatch) -> dict[str, Path]:
    """The released files in small: finetuned_v1, finetuned_v2, prior and visual; their text encoder has 200 words."""
    monkeypatch.setattr('pyiqa_moeagiqa.archs.tokenizer.PromptTokenizer.size', 200)
    return {path.stem: path for path in shutil.copytree(_released, tmp_path / 'released').iterdir()}


@pytest.fixture
def server():
    """A web server on this machine; a test says in ``pages`` what it answers."""
    yield from _serve(Server('http'))


@pytest.fixture
def tls_server(certificate, monkeypatch):
    """The same behind a certificate that only this test trusts."""
    server = Server('https')
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / 'certificate.pem', certificate / 'key.pem')
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv('SSL_CERT_FILE', str(certificate / 'certificate.pem'))
    yield from _serve(server)


def _serve(server: Server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope='session')
def certificate(tmp_path_factory) -> Path:
    """A folder with a self-signed certificate for localhost and its key."""
    if shutil.which('openssl') is None:
        pytest.skip('openssl is not installed: no certificate for the local https server')
    folder = tmp_path_factory.mktemp('certificate')
    command = (
        'openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost'
    )
    files = ['-keyout', str(folder / 'key.pem'), '-out', str(folder / 'certificate.pem')]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return folder


@pytest.fixture
def hub(server, monkeypatch, tmp_path) -> Server:
    """The local server in the place of the Hugging Face hub, whose own client stays as it is."""
    _put_in_the_hubs_place(server, monkeypatch, tmp_path)
    return server


@pytest.fixture
def writable_hub(monkeypatch, tmp_path):
    """A hub that can be written to, by someone who is logged in."""
    server = WritableHub()
    _put_in_the_hubs_place(server, monkeypatch, tmp_path)
    monkeypatch.setattr(constants, 'HF_TOKEN_PATH', str(tmp_path / 'token'))
    monkeypatch.setattr(constants, 'HF_HUB_DISABLE_XET', True)  # a protocol of its own, which the stand-in lacks
    monkeypatch.setattr(constants, 'HF_HUB_DISABLE_PROGRESS_BARS', True)
    monkeypatch.setenv('HF_TOKEN', server.token)
    yield from _serve(server)


def _put_in_the_hubs_place(server: Server, monkeypatch, tmp_path) -> None:
    template = server.address + '/{repo_id}/resolve/{revision}/{filename}'
    monkeypatch.setattr(constants, 'ENDPOINT', server.address)
    monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', template)
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'hub'))
