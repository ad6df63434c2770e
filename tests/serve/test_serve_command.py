"""``moeagiqa serve`` as a user starts and ends it."""

import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest
from command_line import refused

from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.serve import app


def test_it_serves_on_loopback_until_ctrl_c(tiny_checkpoint, fox, tmp_path):
    (tmp_path / 'temporary').mkdir()
    command = [sys.executable, '-m', 'pyiqa_moeagiqa', 'serve', '--port', '0', '--weights', tiny_checkpoint]
    process = subprocess.Popen(
        list(map(str, command)),
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {'TMPDIR': str(tmp_path / 'temporary')},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    try:
        _ask_and_interrupt(process, fox, tmp_path)
    finally:
        process.kill()


def _ask_and_interrupt(process, fox, tmp_path):
    line = next(line for line in process.stderr if 'serving on' in line)
    address = re.search(r'http://127\.0\.0\.1:\d+', line)[0]
    files = {'images': ('fox.png', fox.read_bytes())}
    assert httpx.post(f'{address}/score', files=files, timeout=60).json()['results'][0]['prompt'] == 'a red fox'
    uploaded = httpx.post(
        f'{address}/gradio_api/upload', files={'files': ('fox.png', fox.read_bytes())}, timeout=60
    ).json()
    assert uploaded[0].startswith(str(tmp_path / 'temporary'))
    assert httpx.get(f'{address}/healthz', headers={'Host': 'elsewhere.example'}, timeout=60).status_code == 400
    process.send_signal(signal.SIGINT)
    assert 'moeagiqa: stopped.' in process.stderr.read()
    assert process.wait() == 130
    assert [path for path in (tmp_path / 'temporary').rglob('*') if path.name == 'fox.png'] == []


def test_a_port_that_is_taken_is_said_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr('pyiqa_moeagiqa.serve.command.make_metric', lambda *_: pytest.fail('a network was loaded'))
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        assert f'--port {port}: it cannot be listened on (address already in use)' in refused('serve', '--port', port)


@pytest.mark.parametrize('key', [' ', 'schlüssel'])
def test_a_key_that_no_request_could_have_is_refused(key):
    assert 'The API key is blank or not in ASCII' in refused('serve', '--port', 0, '--api-key', key)


@pytest.mark.parametrize('package', ['gradio', 'prometheus_client', 'swagger_ui_bundle'])
def test_without_the_extra_one_sentence_says_what_to_install(metric, monkeypatch, package):
    for name in ('application', 'api', 'figures', 'guard', 'page', 'service'):
        monkeypatch.delitem(sys.modules, f'pyiqa_moeagiqa.serve.{name}', raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(OptionError, match=rf"needs {package}: pip install 'pyiqa-moeagiqa\[serve\]'"):
        app(metric)
