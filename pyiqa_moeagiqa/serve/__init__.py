"""A page for people and an API for programs, in one process: ``moeagiqa serve``, or ``app()`` inside another server."""

from typing import TYPE_CHECKING

from ..options import OptionError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ..scoring.protocol import Metric
    from .limits import Limits


def app(metric: 'Metric | None' = None, limits: 'Limits | None' = None, api_key: str | None = None) -> 'FastAPI':
    """Make the service, for those who run it in a server of their own.

    It has the page at /, the API at /score, its description at /docs, /healthz, and /metrics for Prometheus. Uploads of the
    page are kept in a temporary folder, which the environment variable GRADIO_TEMP_DIR then names and which goes with the
    process.

    Args:
        metric: what scores, one of this package's metrics; by default ``pyiqa.create_metric('moeagiqa')``.
        limits: of requests; by default those of ``Limits``.
        api_key: a key that callers must have; none is needed by default.

    Raises:
        OptionError: if the packages of the extra 'serve' are missing, or for a key that is blank or not in ASCII.

    Example:
        >>> from pyiqa_moeagiqa import serve
        >>> application = serve.app()  # then, as any other: uvicorn.run(application, port=7860)
    """
    if api_key is not None:
        api_key = api_key.strip()
        if not api_key or not api_key.isascii():
            raise OptionError('The API key is blank or not in ASCII: give random letters and digits, or leave it out.')
    try:
        from .application import build  # loads gradio, which the rest of the package does without
    except ModuleNotFoundError as error:
        raise OptionError(f"The service needs {error.name}: pip install 'pyiqa-moeagiqa[serve]'.") from None
    from ..scoring.metric import make_metric
    from .limits import Limits

    return build(metric or make_metric('moeagiqa', {}), limits or Limits(), api_key)
