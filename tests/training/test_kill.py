"""A run that is killed again and again ends with the very bits of one that was not."""

import json
import multiprocessing
import random

import killed
import pytest
from pictures import make_table, options
from safetensors.torch import load_file

KILLS = 20
LONGEST = 0.6  # seconds from the first step to the kill: a few steps, with a state every third


@pytest.fixture(scope='module')
def processes():
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['pyiqa_moeagiqa.training.run', 'pyiqa.models.general_iqa_model'])
    return context


def start(processes, opt, folder, dies_at_state=0):
    begun = processes.Event()
    process = processes.Process(target=killed.train, args=(opt, str(folder), begun, dies_at_state))
    process.start()
    return process, begun


def finish(processes, opt, folder):
    process, _ = start(processes, opt, folder)
    process.join(300)
    assert process.exitcode == 0


def test_twenty_kills_change_nothing(processes, tiny_checkpoint, tmp_path):
    opt, moments = options(make_table(tmp_path), tiny_checkpoint), random.Random(0)
    finish(processes, opt, tmp_path / 'whole')
    kills = 0
    while kills < KILLS:
        while_writing = kills == KILLS // 2
        process, begun = start(processes, opt, tmp_path / 'cut', dies_at_state=while_writing)
        if while_writing:
            process.join(120)
        else:
            while not begun.wait(0.05) and process.is_alive():
                pass  # one that was killed after its last step has none to begin any more
            process.join(moments.uniform(0, LONGEST))
            process.kill()
            process.join()
        if process.exitcode == 0:  # it was through before the kill: once more from the start
            (tmp_path / 'cut' / 'result.json').unlink()
            (tmp_path / 'cut' / 'training_states' / 'latest.pt').unlink()
            continue
        assert process.exitcode == -9
        kills += 1
    finish(processes, opt, tmp_path / 'cut')
    for file in ('models/net_latest.safetensors', 'models/net_best.safetensors'):
        expected, found = (load_file(tmp_path / run / file) for run in ('whole', 'cut'))
        assert expected
        assert all(expected[name].equal(found[name]) for name in expected)
    whole, cut = (json.loads((tmp_path / run / 'result.json').read_text()) for run in ('whole', 'cut'))
    assert whole == cut
    assert not list((tmp_path / 'cut').rglob('*.part*'))
