"""A run that is killed again and again ends with the very bits of one that was not."""

import multiprocessing

import killed
from pictures import make_table, options, same_weights, short

# Each process goes on from the last state: one is written at every third of twelve steps, each update takes two.
KILLS = [
    ('step', 2),
    ('latest.pt', 1),
    ('step', 5),
    ('net_best.safetensors', 1),
    ('validation.csv', 1),
    ('latest.pt', 2),
    ('step', 3),
    ('net_latest.safetensors', 1),
    ('result.json', 1),
]


def test_kills_change_nothing(tiny_checkpoint, tmp_path):
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['pyiqa_moeagiqa.training.run', 'pyiqa.models.general_iqa_model'])
    opt = short(options(make_table(tmp_path), tiny_checkpoint))

    def ends_with(folder: str, dies_at=None) -> int:
        process = context.Process(target=killed.train, args=(opt, str(tmp_path / folder), dies_at))
        process.start()
        process.join(300)
        return process.exitcode

    assert ends_with('whole') == 0
    for dies_at in KILLS:
        assert ends_with('cut', dies_at) == -9, dies_at
    assert list((tmp_path / 'cut').rglob('*.part*'))
    assert ends_with('cut') == 0
    for name in ('models/net_latest.safetensors', 'models/net_best.safetensors'):
        assert same_weights(tmp_path / 'whole' / name, tmp_path / 'cut' / name)
    for name in ('result.json', 'validation.csv'):
        assert (tmp_path / 'whole' / name).read_text() == (tmp_path / 'cut' / name).read_text()
    assert not list((tmp_path / 'cut').rglob('*.part*'))
