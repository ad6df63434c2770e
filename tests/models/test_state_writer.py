"""States that are written in a thread: what is in them, their order, and errors."""

import errno
import threading

import pytest
import torch

from pyiqa_moeagiqa.checkpoints.file import CheckpointError
from pyiqa_moeagiqa.models import state_file
from pyiqa_moeagiqa.models.state_file import StateWriter, read_state


@pytest.fixture
def gate(monkeypatch):
    """Writing waits until the gate is opened."""
    opened, write = threading.Event(), state_file.write_state

    def waiting(state, path):
        assert opened.wait(60)
        write(state, path)

    monkeypatch.setattr(state_file, 'write_state', waiting)
    return opened


def test_a_state_is_that_of_the_moment_it_was_given(gate, tmp_path):
    weight, inner = torch.zeros(3), [1]
    writer = StateWriter()
    writer.write({'a': weight, 'b': {'c': [weight]}, 'd': inner}, tmp_path / 'state.pt')
    weight.fill_(1)
    inner.append(2)
    assert not (tmp_path / 'state.pt').exists()  # training goes on before it is written
    gate.set()
    writer.finish()
    state = read_state(tmp_path / 'state.pt')
    assert (state['a'].tolist(), state['b']['c'][0].tolist(), state['d']) == ([0, 0, 0], [0, 0, 0], [1])


def test_states_are_written_one_after_another(gate, tmp_path):
    writer, second = StateWriter(), threading.Event()
    writer.write({'iter': 1}, tmp_path / 'state.pt')

    def write_second():
        writer.write({'iter': 2}, tmp_path / 'state.pt')
        second.set()

    thread = threading.Thread(target=write_second)
    thread.start()
    assert not second.wait(0.2)  # the first one is not written yet
    gate.set()
    thread.join(60)
    writer.finish()
    assert read_state(tmp_path / 'state.pt')['iter'] == 2


@pytest.mark.parametrize('after', ['finish', 'write'])
def test_an_error_is_raised_by_what_comes_next_and_once(tmp_path, monkeypatch, after):
    def full(content, opened):
        raise OSError(errno.ENOSPC, 'No space left on device')

    writer = StateWriter()
    with monkeypatch.context() as patch:
        patch.setattr(state_file.torch, 'save', full)
        writer.write({'iter': 1}, tmp_path / 'state.pt')
        with pytest.raises(CheckpointError, match=r'not written .*No space left'):
            writer.finish() if after == 'finish' else writer.write({'iter': 2}, tmp_path / 'state.pt')
    writer.finish()
    assert list(tmp_path.iterdir()) == []
