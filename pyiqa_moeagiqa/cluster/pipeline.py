"""The pipeline on Ray Data: tasks read blocks of images, a pool of actors scores them, and the rows stream back here.

Ray Data holds back the tasks that read while the actors are busy, so memory holds a few blocks, however many there are.
"""

import logging
import os
import pickle
import socket
import tempfile
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa

from ..options import quoted
from ..scoring.sources import SourceError
from .blocks import Block
from .read import Asked
from .workers import THREADS, ScoringWorker, read_blocks, refuse_pickles

IMAGES_AT_ONCE = 32  # that an actor takes
READ_AHEAD = 32 << 20  # bytes of pixels that a task hands over at once
MOST_TASKS = 10_000  # each holds a reference in this process
MOST_DEATHS = 1000
PATIENCE = 5  # seconds
STORE = 1 << 30  # bytes of shared memory of a cluster on this machine alone
READING_CPUS = 0.5


class ClusterError(ValueError):
    """A cluster that cannot be used, or does not stay up; the message is one sentence."""


def require_ray() -> None:
    """Raise a SourceError that says what to install if Ray Data is missing."""
    try:
        import ray.data  # noqa: F401
    except ImportError:
        raise SourceError("--ray: Ray is not installed; pip install 'pyiqa-moeagiqa[ray]'.") from None
    refuse_pickles()


@contextmanager
def cluster_at(address: str) -> Iterator[None]:
    """Be connected to a cluster: 'local' starts one on this machine, 'auto' finds a running one, others are addresses.

    A program that is connected already stays so.

    Raises:
        ClusterError: if there is no such cluster.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    if address not in ('local', 'auto'):
        _require_answer(address)
    short = '/tmp' if os.access('/tmp', os.W_OK) else None  # see below
    with tempfile.TemporaryDirectory(prefix='ray-', dir=short, ignore_cleanup_errors=True) as folder:
        options: dict[str, Any] = {'address': address, 'logging_level': logging.ERROR, 'log_to_driver': False}
        if address == 'local':
            os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
            os.environ.setdefault('RAY_BACKEND_LOG_LEVEL', 'fatal')
            # Ray's sockets lie in this folder, and their paths can have 107 bytes: TMPDIR can be too long.
            options |= {'_temp_dir': folder, 'include_dashboard': False, 'object_store_memory': STORE}
            options['_system_config'] = {'worker_niceness': 0}  # what is asked for counts as much as without Ray
        try:
            ray.init(**options)
        except Exception as error:  # Ray raises all kinds
            raise ClusterError(
                f'--ray {address}: there is no Ray cluster ({quoted(error)}); start one, or use --ray local.'
            ) from None
        try:
            yield
        finally:
            ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise a ClusterError if nothing listens at HOST:PORT: Ray would try for a minute."""
    host, _, port = address.rpartition('://')[2].rpartition(':')
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, ValueError) as error:
        raise ClusterError(
            f'--ray {address}: nothing answers there ({quoted(error)}); name HOST:PORT of a cluster, auto or local.'
        ) from None


def scored(
    blocks: Sequence[Block],
    asked: Asked,
    metric: str,
    options: Mapping[str, Any],
    columns: Sequence[str],
    one_by_one: bool = False,
) -> Generator[pa.Table, None, None]:
    """Read and score blocks on the cluster; yield tables of rows in any order.

    What a dead worker held does not come, one by one what two have died of.

    Args:
        blocks: to read.
        asked: how.
        metric, options: of the metric, for ``make_metric``.
        columns: of the scores.
        one_by_one: whether an actor takes one image at a time, so that none dies with another.

    Raises:
        ClusterError: if workers die again and again, or cannot load the metric.
    """
    import ray

    _quieten()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # Ray Data warns of the two options that bound its retries
        rows = (
            ray.data.from_arrow(_tables_of(blocks))
            .map_batches(
                read_blocks,
                fn_args=(asked,),
                batch_size=1,
                batch_format='pyarrow',
                num_cpus=READING_CPUS,
                max_retries=1,
            )
            .map_batches(
                ScoringWorker,
                fn_constructor_args=(metric, dict(options), tuple(columns)),
                batch_size=1 if one_by_one else IMAGES_AT_ONCE,
                batch_format='pyarrow',
                # What waits for a worker dies with it, each time: the innocent too.
                compute=ray.data.ActorPoolStrategy(min_size=1, max_tasks_in_flight_per_actor=1 if one_by_one else None),
                max_task_retries=int(one_by_one),
                **_actor_resources(),
            )
        )
    try:
        yield from rows.iter_batches(batch_size=None, batch_format='pyarrow', prefetch_batches=0)
    except Exception as error:  # Ray raises all kinds, with traces of the workers in their text
        raise ClusterError(f'The cluster gave up ({quoted(_cause(error))}); the same command goes on.') from None


def _tables_of(blocks: Sequence[Block]) -> list[pa.Table]:
    """The blocks as tables, each of which a task reads."""
    each = -(-len(blocks) // MOST_TASKS)
    starts = range(0, len(blocks), each)
    return [pa.table({'block': [pickle.dumps(block) for block in blocks[start : start + each]]}) for start in starts]


def _quieten() -> None:
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = MOST_DEATHS
    context.target_max_block_size = READ_AHEAD
    logging.getLogger('ray.data').setLevel(logging.CRITICAL)


def _actor_resources() -> dict[str, float]:
    """What a worker takes: a GPU where there are GPUs, else processors, of which the smallest machine keeps one for reading."""
    import ray

    machines = [node['Resources'] for node in ray.nodes() if node['Alive']]
    if any(machine.get('GPU') for machine in machines):
        return {'num_gpus': 1, 'num_cpus': 0.5}
    fewest = min(machine['CPU'] for machine in machines if machine.get('CPU'))
    return {'num_cpus': max(0.5, min(THREADS, fewest - 1))}


def _cause(error: BaseException) -> BaseException:
    """What a worker raised, if that is why Ray gave up."""
    with suppress(AttributeError):
        while cause := getattr(error, 'cause', None) or error.__cause__:
            error = cause
    return error
