"""Who takes part: names, weights and labels."""

import pytest

from pyiqa_moeagiqa.leaderboard.contestants import Contestant, parse, parse_all
from pyiqa_moeagiqa.scoring.sources import SourceError


@pytest.mark.parametrize(
    ('text', 'wanted'),
    [
        ('piqe', Contestant('piqe', 'piqe')),
        ('ridge', Contestant('ridge', 'ridge')),
        ('cnniqa:runs/net_best.pth', Contestant('cnniqa net_best', 'cnniqa', 'runs/net_best.pth')),
        (
            'ours=moeagiqa:hf://a/b/c.safetensors',
            Contestant('ours', 'moeagiqa', 'hf://a/b/c.safetensors'),
        ),
        (
            'predictions:runs/a.b/predictions.csv',
            Contestant('predictions a.b', 'predictions', 'runs/a.b/predictions.csv'),
        ),
        ('moeagiqa:a=b/x.y.safetensors', Contestant('moeagiqa x.y', 'moeagiqa', 'a=b/x.y.safetensors')),
    ],
)
def test_metric_weights_and_label(text, wanted):
    assert parse(text) == wanted


@pytest.mark.parametrize(
    ('texts', 'words'),
    [
        (['ridge:weights.pth'], 'ridge is fitted to the training rows and takes no weights'),
        (['mine=predictions'], 'mine=predictions: predictions needs a file'),
        (['entropi'], 'entropi: pyiqa has no such no-reference metric'),
        (['lpips'], 'lpips: pyiqa has no such no-reference metric'),
        ([], 'names no metric'),
        (['cnniqa:a/best.pth', 'cnniqa:b/best.pth'], "two metrics are called 'cnniqa best'"),
    ],
)
def test_misuse_is_one_sentence(texts, words):
    with pytest.raises(SourceError, match=words):
        parse_all(texts)


def test_the_same_one_twice_takes_part_once():
    assert parse_all(['piqe', 'entropy', 'piqe']) == [parse('piqe'), parse('entropy')]
