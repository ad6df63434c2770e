"""Scoring one image after the other: failures are reported, finished rows are not computed again."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pyiqa_moeagiqa.images.read import ImageBatch, ImageError
from pyiqa_moeagiqa.metrics.notes import prompt_note
from pyiqa_moeagiqa.scoring.output import ScoreFile
from pyiqa_moeagiqa.scoring.run import score_items, takes_prompts
from pyiqa_moeagiqa.scoring.sources import Item


class FakeMetric:
    """Answers as pyiqa's metrics do: a number made of the path, or whatever ``answers`` says for it."""

    def __init__(self, prompted: bool = True, **answers):
        self.answers, self.calls = answers, []
        forward = (lambda x, caption_list=None: 0) if prompted else (lambda x: 0)
        self.net = SimpleNamespace(forward=forward)

    def __call__(self, path, **options):
        self.calls.append((path, options))
        answer = self.answers.get(Path(path).stem, 0.5)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def items(*names, prompt='a cat'):
    return [Item(Path(name), prompt) for name in names]


def test_a_metric_is_given_path_and_prompt():
    metric = FakeMetric(a=0.25)
    (result,) = score_items(metric, items('a.png'))
    assert metric.calls == [('a.png', {'caption_list': ['a cat']})]
    assert (result.path, result.prompt, result.score) == ('a.png', 'a cat', 0.25)


def test_a_metric_without_prompts_is_given_none():
    metric = FakeMetric(prompted=False)
    results = list(score_items(metric, [Item(Path('a.png'), None), Item(Path('b.png'), 'a cat')]))
    assert metric.calls == [('a.png', {}), ('b.png', {})]
    assert [result.score for result in results] == [0.5, 0.5]
    assert not takes_prompts(metric)


@pytest.mark.parametrize(
    ('answer', 'reason'),
    [
        (ValueError('b.png: the image is damaged\nand more'), 'the image is damaged'),
        (KeyError(), 'KeyError'),
        (float('nan'), 'its score is nan'),
        (float('inf'), 'its score is inf'),
    ],
)
def test_what_fails_has_its_reason_and_the_rest_is_scored(answer, reason):
    results = list(score_items(FakeMetric(b=answer), items('a.png', 'b.png', 'c.png')))
    assert [result.score for result in results] == [0.5, None, 0.5]
    assert results[1].reason == reason


def test_an_image_without_prompt_is_not_scored():
    metric = FakeMetric()
    results = list(score_items(metric, items('a.png', prompt=None)))
    assert results[0].reason == 'there is no prompt for it'
    assert not metric.calls


def test_a_name_that_is_no_unicode_is_reported(tmp_path):
    output = ScoreFile(tmp_path / 'scores.csv', {})
    results = list(score_items(FakeMetric(), items('b\udcff.png', 'a.png'), output))
    assert 'no valid Unicode' in results[0].reason
    assert [row['path'] for row in output.rows] == ['a.png']


def test_finished_rows_are_not_computed_again(tmp_path):
    output = ScoreFile(tmp_path / 'scores.csv', {})
    list(score_items(FakeMetric(b=0.75), items('b.png'), output))
    metric = FakeMetric(b=0.1)
    results = list(score_items(metric, items('a.png', 'b.png'), output))
    assert [(result.path, result.score) for result in results] == [('a.png', 0.5), ('b.png', 0.75)]
    assert [path for path, _ in metric.calls] == ['a.png']


def test_another_prompt_is_another_row(tmp_path):
    output = ScoreFile(tmp_path / 'scores.csv', {})
    list(score_items(FakeMetric(), items('a.png'), output))
    list(score_items(FakeMetric(), items('a.png', prompt='a dog'), output))
    assert [row['prompt'] for row in output.rows] == ['a cat', 'a dog']


def test_what_failed_is_tried_again(tmp_path):
    output = ScoreFile(tmp_path / 'scores.csv', {})
    list(score_items(FakeMetric(a=OSError('no')), items('a.png'), output))
    (result,) = score_items(FakeMetric(), items('a.png'), output)
    assert result.score == 0.5


class FakeReader(FakeMetric):
    """As the metrics of this package: reads images itself, and takes many at once."""

    device = torch.device('cuda')

    def __init__(self, unreadable=(), **answers):
        super().__init__(**answers)
        self.unreadable = unreadable
        self.net.read_images = self.read

    def read(self, path):
        if Path(path).stem in self.unreadable:
            raise ImageError(f'{path}: the image is damaged')
        images = ImageBatch([Path(path).stem])
        images.notes = ['only the first frame'] if path == 'film.png' else []
        return images

    def __call__(self, images, caption_list, return_details):
        self.calls.append([*images])
        answers = [self.answers.get(image, 0.5) for image in images]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        cut = [len(prompt.split()) // 35 for prompt in caption_list]
        return torch.tensor(answers)[:, None], SimpleNamespace(cut_tokens=cut)


NAMES = [f'{letter}.png' for letter in 'abcdefgh']


def test_images_are_scored_together_where_that_is_faster():
    metric = FakeReader(c=0.25)
    results = list(score_items(metric, items(*NAMES)))
    assert metric.calls == [list('abcdefgh')]
    assert [result.score for result in results] == [0.5, 0.5, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5]
    metric.device = torch.device('cpu')
    metric.calls.clear()
    list(score_items(metric, items(*NAMES)))
    assert metric.calls == [[letter] for letter in 'abcdefgh']


def test_one_that_fails_in_a_batch_leaves_the_others_scored(tmp_path):
    metric = FakeReader(unreadable='b', c=ValueError('no'), d=float('nan'))
    output = ScoreFile(tmp_path / 'scores.csv', {})
    results = list(score_items(metric, [*items(*NAMES[:5]), Item(Path('f.png'), None)], output))
    assert [result.score for result in results] == [0.5, None, None, None, 0.5, None]
    assert [result.reason for result in results[1:4]] == ['the image is damaged', 'no', 'its score is nan']
    assert [row['path'] for row in output.rows] == ['a.png', 'e.png']


def test_what_is_known_about_an_image_of_a_batch_is_noted_at_it():
    prompts = {'a.png': 'a cat', 'b.png': '', 'film.png': 'a cat', 'd.png': 'word ' * 35}
    metric = FakeReader()
    results = list(score_items(metric, [Item(Path(path), prompt) for path, prompt in prompts.items()]))
    notes = [(), (prompt_note(''),), ('only the first frame',), ("its prompt was cut by 1 token: '…word'",)]
    assert [result.notes for result in results] == notes


def test_an_image_that_comes_twice_is_written_once(tmp_path):
    output = ScoreFile(tmp_path / 'scores.csv', {})
    assert len(list(score_items(FakeReader(), items('a.png', 'a.png'), output))) == 2
    assert len(output.rows) == 1


def test_a_key_press_is_not_taken_for_a_failed_image():
    with pytest.raises(KeyboardInterrupt):
        list(score_items(FakeMetric(a=KeyboardInterrupt()), items('a.png')))
