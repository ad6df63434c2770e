"""``moeagiqa score --ray``: plan blocks of images, have a cluster score them, name the images that no worker survives."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from tqdm import tqdm

from ..console import console, plain, say
from ..scoring.metric import made_by, make_metric
from ..scoring.output import columns_of
from ..scoring.run import reads_images, takes_prompts
from ..scoring.scale import scale_of
from ..scoring.score_formats import ENDINGS
from ..scoring.sources import PromptChoice, SourceError, places_of
from . import blocks as planning
from .blocks import Block, blocks_of
from .output import ScoreFolder
from .pipeline import ClusterError, cluster_at, require_ray, scored
from .places import is_remote
from .read import Asked, folders_of, items_in

MOST_LOST = 16  # images that are blamed for the deaths of workers, or a quarter of those that were tried again


@dataclass
class ClusterJob:
    """What ``moeagiqa score --ray`` is asked to do.

    Attributes:
        paths: images, folders, patterns, tables (.parquet, .jsonl) and shards (.tar); local ones, or addresses.
        prompts: where prompts come from, if images come without.
        output: the folder of the data set of scores, or its address.
        metric: the name of any no-reference metric of pyiqa.
        options: of ``create_metric``, by name.
        address: of the cluster, see ``cluster_at``.
    """

    paths: Sequence[str]
    prompts: PromptChoice
    output: str
    metric: str
    options: Mapping[str, Any]
    address: str


def score(job: ClusterJob) -> int:
    """Score on a cluster and write the data set; returns how many of its images have no score.

    Raises:
        ValueError: for input, prompts, metric, output or cluster that cannot be used.
    """
    require_ray()
    place = _output_of(job)
    # The metric is made here for its columns, and so that a wrong option is said before a cluster starts.
    metric = make_metric(job.metric, {**job.options, 'device': 'cpu'})
    facts = made_by(job.metric, metric)
    columns = columns_of(facts, scale_of(metric) is not None)
    output = ScoreFolder(place, _note(job, facts, metric), columns)
    places = places_of(job.prompts.prompt_from or 'auto') if job.prompts.is_looked_up else ()
    folders = folders_of(tuple(job.paths))
    asked = Asked(folders, job.prompts.prompt, places, takes_prompts(metric), reads_images(metric))
    del metric
    with output.held():
        return _score_into(output, job, asked, columns)


def _score_into(output: ScoreFolder, job: ClusterJob, asked: Asked, columns: Sequence[str]) -> int:
    """Score what the output lacks; returns how many images have no score."""
    every = list(blocks_of(job.paths, job.prompts, output.place, asked.needs_prompt, is_begun=output.is_begun))
    left = output.begin(every)
    known = output.scored
    if left:
        with cluster_at(job.address), _progress(every, output) as bar:
            _run(left, asked, job, output, columns, bar)
    console().print(_written_line(job, output, known), soft_wrap=True)
    if output.failed:
        say(
            f'{output.failed} {"image has" if output.failed == 1 else "images have"} no score; the column reason says why'
        )
    return output.failed


def _output_of(job: ClusterJob) -> str:
    if job.output.lower().endswith(ENDINGS) or os.path.isfile(job.output):
        raise SourceError(f'{job.output}: with --ray the scores are a folder of Parquet files, as in --output scores/.')
    if 'device' in job.options:
        raise SourceError(f'--device {job.options["device"]}: Ray gives each worker its GPU; leave --device out.')
    return job.output if is_remote(job.output) else os.path.abspath(job.output)


def _note(job: ClusterJob, facts: Mapping[str, Any], metric: Any) -> dict[str, Any]:
    """What the scores depend on, and what was asked for; the dtype as asked, as workers can have other hardware."""
    dtype = {'dtype': metric.net.dtype} if 'dtype' in facts else {}
    paths = [path if is_remote(path) else os.path.abspath(path) for path in job.paths]
    prompt, table, prompt_from = job.prompts
    return {
        **facts,
        **dtype,
        'paths': paths,
        'prompt': prompt,
        'prompts': table and os.path.abspath(table),
        'prompt_from': prompt_from,
        'block': planning.BLOCK,
    }


def _progress(every: Iterable[Block], output: ScoreFolder) -> tqdm:
    counts = [block.rows for block in every]
    total = None if None in counts else sum(count or 0 for count in counts)
    return tqdm(total=total, initial=output.scored + output.failed, unit='image', disable=None)


def _run(
    left: Sequence[Block], asked: Asked, job: ClusterJob, output: ScoreFolder, columns: Sequence[str], bar: tqdm
) -> None:
    """Score blocks, then what dead workers held one by one; an image whose worker dies again gets that for a reason.

    Raises:
        ClusterError: if so many images are lost twice, or all, that the cause is none of them.
    """
    received = _collect(left, asked, job, output, columns, bar)
    lost = [(block, number) for block, number, _ in _lost(left, asked, output)]
    if lost:
        say(f'workers died: {len(lost)} images are tried again, one by one')
        again = [replace(block, only=number) for block, number in lost]
        received += _collect(again, asked, job, output, columns, bar, one_by_one=True)
        lost_again = list(_lost(left, asked, output))
        if not received or len(lost_again) > max(MOST_LOST, len(lost) // 4):
            raise ClusterError(
                f'{len(lost_again)} images were lost twice with their workers: see that all machines can read the input, the '
                "output and the weights, and look at Ray's logs there; the same command goes on."
            )
        for block, number, named in lost_again:
            output.add_lost(block, number, *named)
            bar.update()


def _collect(
    blocks: Sequence[Block],
    asked: Asked,
    job: ClusterJob,
    output: ScoreFolder,
    columns: Sequence[str],
    bar: tqdm,
    one_by_one: bool = False,
) -> int:
    """Score blocks and put the rows into the output as they come; returns how many images there were."""
    images = 0
    # A run that is cut closes the pipeline here: later, Ray would start another cluster to close it.
    with closing(scored(blocks, asked, job.metric, job.options, columns, one_by_one)) as tables:
        for rows in tables:
            count = output.add(rows)
            images += count
            bar.update(count)
    return images


def _lost(blocks: Iterable[Block], asked: Asked, output: ScoreFolder) -> Iterator[tuple[Block, int, tuple[str, str]]]:
    """Block, number, and path and prompt of each image that did not come back."""
    for block in blocks:
        if not output.is_done(block):
            named = [(str(item.path), item.prompt or '') for item in items_in(block, asked.prompt)]
            for number in output.missing(block, len(named)):
                yield block, number, named[number]


def _written_line(job: ClusterJob, output: ScoreFolder, known: int) -> str:
    more = f' ({known} {"was" if known == 1 else "were"} there already)' if known else ''
    return f'{output.scored} scores in {plain(job.output)}{more}'
