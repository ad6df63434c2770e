"""One rule per program that the pages name: run it where that can be, else check all of it that can be checked."""

import argparse
import ast
import contextlib
import doctest
import functools
import importlib.util
import itertools
import re
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pyiqa
import pyiqa.train
import typer
import yaml
from fastapi import FastAPI
from packaging.requirements import Requirement
from pyiqa.data import build_dataset
from running import running
from torch.distributed.run import get_args_parser
from typer.testing import CliRunner

from pyiqa_moeagiqa.cli import app
from pyiqa_moeagiqa.serve import command

PORT_ON_PAGES = 'http://127.0.0.1:7860'
STARTED, SERVED = contextlib.ExitStack(), []  # services, and their addresses
ROOT = Path(__file__).parent.parent.parent
AS_SHOWN = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Wrong(AssertionError):
    """What is wrong with a command on a page."""


def run(words: list[str], shown: str = '') -> None:
    """Run or check a command; ``shown`` is the output that the page promises, '...' in it stands for anything.

    Raises:
        Wrong: for a command that fails, prints something else, or that no rule is for.
    """
    program, *arguments = words
    if program not in RULES:
        raise Wrong(f'{program}: no rule checks this program; write one in {Path(__file__).name}')
    printed = RULES[program](arguments)
    if shown and not doctest.OutputChecker().check_output(shown + '\n', printed, AS_SHOWN):
        raise Wrong(f'{" ".join(words)} prints\n{printed}\nand not\n{shown}')


def require(met: bool, what: str) -> None:
    if not met:
        raise Wrong(what)


def moeagiqa(arguments: list[str]) -> str:
    """Run, in this process; a service goes on running, in a thread."""
    with mock.patch.object(command, '_listening', _free_port), mock.patch.object(command, '_run', _start):
        return _moeagiqa(arguments)


def _moeagiqa(arguments: list[str]) -> str:
    result = CliRunner().invoke(app, arguments)
    if result.exit_code:
        trace = ''.join(traceback.format_exception(*result.exc_info)) if result.exc_info[0] is not SystemExit else ''
        raise Wrong(f'moeagiqa {" ".join(arguments)} ends with {result.exit_code}: {result.output}{trace}')
    return result.stdout


def _free_port(host: str, port: int) -> socket.socket:
    return socket.create_server(('127.0.0.1', 0))


def _start(application: FastAPI, listening: socket.socket) -> None:
    SERVED.append(STARTED.enter_context(running(application)))


def end_services() -> None:
    """End what ``moeagiqa serve`` has started."""
    STARTED.close()
    SERVED.clear()


def _at_its_port(text: str) -> str:
    """A text with the address of the service that runs, in place of the one that the page names."""
    return text.replace(PORT_ON_PAGES, SERVED[-1]) if SERVED else text


def curl(arguments: list[str]) -> str:
    """Sends forms to the service that the page has started; what it answers is printed."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument('-F', dest='form', action='append', default=[])
    parser.add_argument('-H', dest='headers', action='append', default=[])
    parser.add_argument('address')
    asked = parser.parse_args(arguments)
    require(
        asked.address.startswith(PORT_ON_PAGES) and SERVED, f'{asked.address}: the page has started no service there'
    )
    fields = [field.partition('=')[::2] for field in asked.form]
    files = [(name, (value[1:], Path(value[1:]).read_bytes())) for name, value in fields if value.startswith('@')]
    data = {name: value for name, value in fields if not value.startswith('@')}
    headers = dict(line.split(': ', 1) for line in asked.headers)
    answer = httpx.request(
        'POST' if fields else 'GET', _at_its_port(asked.address), data=data, files=files, headers=headers, timeout=60
    )
    require(answer.status_code == 200, f'curl {" ".join(arguments)}: {answer.text}')
    return answer.text


def torchrun(arguments: list[str]) -> str:
    """The launcher's own options are parsed; what it would start runs once."""
    try:
        launched = get_args_parser().parse_args(arguments)
    except SystemExit:
        raise Wrong(f'torchrun does not take {" ".join(arguments)}') from None
    require(launched.module, 'torchrun starts a module: -m')
    return _module(launched.training_script, launched.training_script_args)


def python(arguments: list[str]) -> str:
    """``-m MODULE``, and the one script of pyiqa's."""
    match arguments:
        case ['-m', name, *rest]:
            return _module(name, rest)
        case ['-P', 'benchmark_results.py', *rest]:
            return _pyiqas_benchmark(rest)
    raise Wrong(f'python {" ".join(arguments)}: no rule checks this script')


def _module(name: str, arguments: list[str]) -> str:
    if name == 'pyiqa_moeagiqa.cli':
        return moeagiqa(arguments)
    if name == 'pyiqa.train':
        return _pyiqas_trainer(arguments)
    require(name.startswith('recipes.'), f'python -m {name}: no rule checks this module')
    return _parsed_by_recipe(name, arguments)


def _pyiqas_trainer(arguments: list[str]) -> str:
    before, sys.argv = sys.argv, ['train.py', *arguments]
    try:
        pyiqa.train.train_pipeline(str(Path.cwd()))
    except SystemExit:
        raise Wrong(f'pyiqa.train does not take {" ".join(arguments)}') from None
    finally:
        sys.argv = before
    return ''


def _parsed_by_recipe(name: str, arguments: list[str]) -> str:
    """A recipe trains for hours: its options are parsed, no more."""
    require(importlib.util.find_spec(name) is not None, f'python -m {name}: there is no such module')
    main = importlib.import_module(f'{name}.__main__').main
    recipe = typer.Typer()
    recipe.command()(functools.wraps(main)(lambda **given: None))
    result = CliRunner().invoke(recipe, arguments)
    require(result.exit_code == 0, f'python -m {name}: {result.output}')
    return ''


def _pyiqas_benchmark(arguments: list[str]) -> str:
    """pyiqa's script is no part of its wheel: metrics and data sets that it is given are made as it makes them."""
    names = arguments[1 : arguments.index('--data_opt')]
    require(arguments[0] == '-m' and names, 'benchmark_results.py is given metrics by -m')
    for name in names:
        require(name in pyiqa.list_models(), f'-m {name}: pyiqa has no such metric')
    (file,) = arguments[len(names) + 2 :]
    for options in yaml.safe_load(Path(file).read_text()).values():
        require(len(build_dataset(options)) > 0, f'{file} has no images')
    return ''


def pip(arguments: list[str]) -> str:
    """Our own extras, the files and the packages that are asked for are those of setup.py and requirements/."""
    require(arguments[:1] == ['install'], f'pip {" ".join(arguments)}: no rule checks this')
    rest = arguments[1:]
    while rest:
        word, *rest = rest
        if word in ('-r', '--requirement'):
            file, *rest = rest
            require((ROOT / file).is_file(), f'{file}: there is no such file')
        elif found := re.fullmatch(r'\.(?:\[(\w+)])?', word):
            require(found[1] is None or found[1] in _extras(), f'{word}: setup.py has no such extra')
        else:
            require(word in _known_packages(), f'pip install {word}: neither setup.py nor requirements/ names it')
    return ''


def _extras() -> list[str]:
    return list(_packaging()['extras_require'])


def _known_packages() -> set[str]:
    packaging = _packaging()
    lines = [*packaging['install_requires'], *itertools.chain(*packaging['extras_require'].values())]
    lines += (ROOT / 'requirements' / 'test.txt').read_text().splitlines()
    return {Requirement(line).name for line in lines if line[:1].isalpha()}


def _packaging() -> dict[str, Any]:
    """What setup.py says: an environment's own note of it may be older."""
    tree = ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8'))
    calls = (node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
    call = next(call for call in calls if getattr(call.func, 'id', '') == 'setup')
    wanted = ('install_requires', 'extras_require')
    return {part.arg: ast.literal_eval(part.value) for part in call.keywords if part.arg in wanted}


def make(arguments: list[str]) -> str:
    """The Makefile has the targets."""
    done = subprocess.run(['make', '--dry-run', *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    require(done.returncode == 0, f'make {" ".join(arguments)}: {done.stderr}')
    return ''


RULES: dict[str, Callable[[list[str]], str]] = {
    'moeagiqa': moeagiqa,
    'curl': curl,
    'torchrun': torchrun,
    'python': python,
    'pip': pip,
    'make': make,
}


def options_are_known(words: list[str]) -> None:
    """For a command within a sentence: it exists and has the options that are named. It is not run."""
    command = typer.main.get_command(app)
    _, *rest = words
    while hasattr(command, 'commands') and rest:
        name = rest.pop(0)
        require(name in command.commands, f'{" ".join(words)}: there is no command {name!r}')
        command = command.commands[name]
    known = {text for parameter in command.params for text in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        option = word.partition('=')[0]
        require(not word.startswith('-') or option in known | {'--help'}, f'{" ".join(words)}: there is no {option}')


class AsShown(doctest.OutputChecker):
    """An example that shows no output may give any."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return not want or super().check_output(want, got, optionflags)


def run_python(text: str, names: dict, place: str, line: int) -> None:
    """Run an example with its ``>>>``, or plain lines, in the page's own session.

    Raises:
        Wrong: for an error that is not shown, or another output than is shown.
    """
    text = _at_its_port(text)
    if not text.lstrip().startswith('>>>'):
        try:
            exec(compile('\n' * (line - 1) + text, place, 'exec'), names)
        except Exception as error:
            raise Wrong(f'{place}:{line}: {error!r}') from error
        return
    test = doctest.DocTestParser().get_doctest(text, names, place, place, line - 1)
    report: list[str] = []
    runner = doctest.DocTestRunner(AsShown(), optionflags=AS_SHOWN)
    runner.run(test, out=report.append, clear_globs=False)
    names |= test.globs
    require(runner.failures == 0, ''.join(report))
