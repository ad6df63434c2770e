"""A repeated run with nothing left to do: it is answered from its output, without loading a network."""

from collections import Counter
from contextlib import closing
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..file_hash import file_hash
from ..plugin import OURS
from .job import Job, Run, ranking
from .output import COLUMNS, ScoreFile, read_note
from .result import changed_rows, known_result
from .sources import find_items

PACKAGE, EMBEDDED = 'pyiqa_moeagiqa', 'moeagiqa'


def finished(job: Job, is_ranked: bool) -> Run | None:
    """The run of a job whose output has all scores already; None if something is left to do.

    An output's note records what it was made for, so no network is loaded, which would take seconds.
    """
    if job.output is None:
        return None
    note = read_note(job.output)
    if not note.get('asked') or note['asked'] != asked(job) or not job.output.is_file():
        return None
    with closing(ScoreFile(job.output, note, 'target' in note, ranking(note['lower_better'], is_ranked))) as output:
        rows = {(row['path'], row['prompt']): row for row in output.rows}
        items = list(find_items(job.paths, *job.prompts))
        keys = [(str(item.path), item.prompt or '') for item in items]
        if not all(key in rows for key in keys) or changed_rows([path for path, _ in keys], output.rows):
            return None
    sources = Counter(item.source if item.prompt is not None else '' for item in items)
    results = (known_result(*key, rows[key]) for key in keys)
    return Run(results, note['lower_better'], [*output.columns[len(COLUMNS) : -1]], sources)


def asked(job: Job) -> dict[str, Any] | None:
    """What an output is made for: metric, options, weights and versions.

    None if loading a network is the only way to know the weights, or if their file does not exist.
    """
    options = {name: value for name, value in job.options.items() if value is not None and name != 'device'}
    weights = options.pop('pretrained_model_path', None)
    if weights is None and job.metric == EMBEDDED:
        weights = resources.files(PACKAGE) / 'checkpoints' / 'moeagiqa.safetensors'
    elif weights is None and job.metric in OURS:
        return None
    file = None if weights is None else Path(str(weights)).expanduser()
    if file is not None and not file.is_file():
        return None
    return {
        'metric': job.metric,
        'options': options,
        'weights': file_hash(file) if file else None,
        'versions': [version('pyiqa-moeagiqa'), version('pyiqa')],
    }
