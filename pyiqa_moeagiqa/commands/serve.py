"""``moeagiqa serve``."""

from typing import Annotated

import typer

from .failures import in_one_sentence
from .shared import Crops, Device, Dtype, Fast, LongPrompts, Target, Weights, metric_options


def serve(
    host: Annotated[
        str, typer.Option(metavar='NAME', help='The address to listen on; 0.0.0.0 lets other machines in.')
    ] = '127.0.0.1',
    port: Annotated[int, typer.Option(min=0, max=65535, metavar='N', help='Its port; 0 for any free one.')] = 7860,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar='TEXT',
            envvar='MOEAGIQA_API_KEY',
            help='A key that callers must have. Give it by the variable: other users of the machine see the options of a command.',
        ),
    ] = None,
    max_images: Annotated[int, typer.Option(min=1, metavar='N', help='Images in a request.')] = 32,
    max_megabytes: Annotated[int, typer.Option(min=1, metavar='N', help='MiB in a request.')] = 64,
    max_megapixels: Annotated[int, typer.Option(min=1, metavar='N', help='Millions of pixels in an image.')] = 40,
    queue: Annotated[
        int, typer.Option(min=1, metavar='N', help='Images that wait at a time; more are refused for the moment.')
    ] = 128,
    timeout: Annotated[
        int,
        typer.Option(min=1, metavar='SECONDS', help='How long a request may take to arrive, and then to be scored.'),
    ] = 120,
    target: Target = None,
    crops: Crops = None,
    weights: Weights = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    long_prompts: LongPrompts = None,
) -> None:
    """Serve a page for people and an API for programs.

    The page is at /, the API at /score, its description at /docs. Other machines are let in only with --host.
    Ctrl-C ends it; what is being scored is then still answered.

    Exit code: 2 for wrong usage, 130 after Ctrl-C.
    """
    with in_one_sentence():
        from ..serve import command

        options = metric_options(target, crops, weights, device, dtype, fast, long_prompts)
        limits = {
            'max_images': max_images,
            'max_megabytes': max_megabytes,
            'max_megapixels': max_megapixels,
            'queue': queue,
            'timeout': timeout,
        }
        command.serve(host, port, options, limits, api_key)
