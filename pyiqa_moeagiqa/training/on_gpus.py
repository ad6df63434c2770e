"""Several runs at the same time: each in a process of its own, on a GPU of its own."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
import yaml

from ..distributed import launched
from ..options import OptionError

WAIT = 0.2  # seconds between two looks at the processes
# Runs the command, and interrupts it as Ctrl-C does once standard input ends: when this process closes it, or is killed. An
# interrupt can be lost while libraries are imported, so a process that is still there a minute later is ended.
UNTIL_THE_END_OF_INPUT = """
import _thread, os, signal, sys, threading, time

def watch():
    sys.stdin.read()
    _thread.interrupt_main()
    time.sleep(60)
    os._exit(130)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a command in the background can have been started without
threading.Thread(target=watch, daemon=True).start()
from pyiqa_moeagiqa.cli import main
main()
"""


def names_of(gpus: int) -> list[str]:
    """The first ``gpus`` GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    Raises:
        OptionError: if there are fewer, and under torchrun, which starts processes itself.
    """
    if launched():
        raise OptionError(
            f'--gpus is {gpus}: it starts a process for each GPU itself; leave out either torchrun or --gpus.'
        )
    there = torch.cuda.device_count()
    if gpus > there:
        raise OptionError(
            f'--gpus is {gpus}, but torch finds {there} GPUs here; give a smaller number, or leave it out.'
        )
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    return (visible.split(',') if visible else [str(number) for number in range(there)])[:gpus]


@dataclass
class _Running:
    """One run and its process, which goes on until its ``input`` is closed; what it says is in ``said``."""

    folder: Path
    process: subprocess.Popen
    input: IO[bytes]
    said: IO[bytes]


def on_gpus(
    runs: Mapping[Path, Mapping[str, Any]], gpus: list[str], may_start: Callable[[Path], bool]
) -> Iterator[tuple[Path, str]]:
    """Make the runs by ``moeagiqa train``, one at a time on each GPU.

    Args:
        runs: the options of each run, by its folder.
        gpus: see ``names_of``.
        may_start: asked before a run starts; once it says no, no further run starts.

    Yields:
        The folder of each run that ended, and why it failed; '' if it did not.
    """
    waiting, free, running = list(runs.items()), list(gpus), dict[str, _Running]()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            while waiting or running:
                while waiting and free:
                    folder, options = waiting.pop(0)
                    if not may_start(folder):
                        waiting.clear()
                        break
                    gpu = free.pop(0)
                    running[gpu] = _start(folder, options, gpu, Path(scratch, str(len(waiting))))
                for gpu in [gpu for gpu, one in running.items() if one.process.poll() is not None]:
                    free.append(gpu)
                    one = running.pop(gpu)
                    yield one.folder, _why_it_failed(one)
                time.sleep(WAIT)
        finally:
            _stop(list(running.values()))


def _start(folder: Path, options: Mapping[str, Any], gpu: str, scratch: Path) -> _Running:
    """Start a run; ``scratch`` is the path, without ending, of its option file and of what it says."""
    file = scratch.with_suffix('.yml')
    file.write_text(yaml.safe_dump(dict(options), sort_keys=False), encoding='utf-8')
    said = scratch.with_suffix('.txt').open('w+b')
    process = subprocess.Popen(
        [sys.executable, '-c', UNTIL_THE_END_OF_INPUT, 'train', str(file), '--output', str(folder)],
        env=os.environ | {'CUDA_VISIBLE_DEVICES': gpu, 'PYTHONSAFEPATH': '1'},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=said,
    )
    assert process.stdin is not None
    return _Running(folder, process, process.stdin, said)


def _why_it_failed(one: _Running) -> str:
    one.said.seek(0)
    lines = one.said.read().decode(errors='replace').split('\n')
    one.said.close()
    code = one.process.returncode
    if code < 0:
        return f'its process was ended by {signal.Signals(-code).name}, as when memory runs out'
    last = next((line for line in reversed(lines) if line.strip()), f'exit code {code}')
    return last.removeprefix('moeagiqa: ').strip() if code else ''


def _stop(running: list[_Running]) -> None:
    """Let runs that have not ended end as by Ctrl-C; they go on from their last state."""
    for one in running:
        one.input.close()
    for one in running:
        one.process.wait()
        one.said.close()
