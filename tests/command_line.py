"""``moeagiqa ...`` as a user types it, in this process: what it answers, and the sentence in which it refuses."""

from typer.testing import CliRunner, Result

from pyiqa_moeagiqa.cli import app


def run(*arguments: object, code: int = 0) -> Result:
    """The command's answer; it must end with the exit code."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def refused(*arguments: object, code: int = 2) -> str:
    """The one sentence of a command that did nothing."""
    result = run(*arguments, code=code)
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ''
    (line,) = result.stderr.splitlines()
    assert line.startswith('moeagiqa: ')
    assert line.endswith(('.', '.)', ')'))
    return line
