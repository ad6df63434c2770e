"""Joins page, API and guard into one FastAPI app."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'  # gradio reads it when it is imported

import gradio as gr
from fastapi import FastAPI

from .. import __version__
from ..scoring.protocol import Metric
from .api import add_api
from .figures import Figures
from .guard import Guard
from .limits import Limits
from .page import STYLE, THEME, page
from .service import Service

DESCRIPTION = 'How good is an AI-generated image for its prompt?'


def build(metric: Metric, limits: Limits, api_key: str | None) -> FastAPI:
    """Make the app that ``serve.app`` describes."""
    figures = Figures()
    service = Service(metric, limits, figures)
    folder = tempfile.TemporaryDirectory(prefix='moeagiqa-', ignore_cleanup_errors=True)
    uploads = Path(folder.name).resolve()
    os.environ['GRADIO_TEMP_DIR'] = str(uploads)  # gradio has no option for it

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)
        folder.cleanup()

    app = FastAPI(
        title='MoE-AGIQA',
        description=DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.uploads = folder  # which lives as long as the app
    add_api(app, service, figures)
    app.add_middleware(Guard, limits, figures, uploads, api_key)
    return gr.mount_gradio_app(
        app,
        page(service),
        '/',
        footer_links=[],
        run_history=False,
        max_file_size=limits.most_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        theme=THEME,
        css=STYLE,
    )
