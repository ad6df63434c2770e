"""What programs ask the service over HTTP: scores, its health, its figures, and the description of all that."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from ..scoring.metric import made_by
from ..scoring.result import Result
from .figures import Figures
from .service import Busy, Picture, Service, TooSlow

BINARY = {'type': 'string', 'format': 'binary'}  # how OpenAPI 3.0 says that a browser is to offer a choice of files
FIELDS = (
    'Send a form with the pictures as files in the field images, and prompts in the field prompts, as in '
    "curl -F images=@cat.png -F 'prompts=a cat'."
)
RETRY_AFTER = {'Retry-After': '5'}  # seconds


class Score(BaseModel):
    """One picture's score.

    The metric's numbers stand beside these fields: mos, low, high, percentile, the same for its other targets, such as
    alignment_mos, and novelty. ``pyiqa_moeagiqa.score`` gives them the same names.
    """

    model_config = ConfigDict(extra='allow')

    name: str = Field(description="The file's name, as it was sent.")
    prompt: str
    prompt_from: str = Field(description="'given', or such as 'PNG metadata of ComfyUI'; empty without a prompt.")
    score: float | None = Field(description='About 0 to 1, higher is better; null if the picture cannot be scored.')
    reason: str = Field(description='Why there is no score.')
    notes: list[str] = Field(description='Remarks, such as that the prompt was cut.')


class Scores(BaseModel):
    """A score for each picture, in the order in which they were sent."""

    results: list[Score]


def add_api(app: FastAPI, service: Service, figures: Figures) -> None:
    """Add the routes /score, /healthz, /metrics and /docs."""
    router = APIRouter()
    by = made_by(service.metric.metric_name, service.metric)

    @router.post('/score', response_model_exclude_unset=True)
    async def score(
        request: Request,
        images: Annotated[
            list[UploadFile], File(description='Pictures, each a file.', json_schema_extra={'items': BINARY})
        ],
        prompts: Annotated[
            list[str],
            Form(
                description='One for all pictures, or one for each; none or an empty one: that in the metadata of a picture.'
            ),
        ] = [],  # noqa: B006 (FastAPI copies it)
    ) -> Scores:
        """Score pictures for their prompts."""
        if unknown := set(await request.form()) - {'images', 'prompts'}:
            raise HTTPException(422, f'There is no field {min(unknown)!r}. {FIELDS}')
        pictures = _pictures(images, prompts, service.limits.max_images)
        try:
            answers = await service.score(pictures)
        except Busy as busy:
            raise HTTPException(503, str(busy), RETRY_AFTER) from None
        except TooSlow as slow:
            raise HTTPException(504, str(slow), RETRY_AFTER) from None
        return Scores(results=[_score(*answer) for answer in answers])

    @router.get('/healthz')
    async def healthz(response: Response) -> dict[str, Any]:
        """Say whether scores are made (else the status is 503), and by what."""
        response.status_code = 200 if service.is_alive else 503
        return {'status': 'ok' if service.is_alive else 'failed', 'made_by': by}

    @router.get('/metrics')
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(figures.as_text(), media_type='text/plain; version=0.0.4; charset=utf-8')

    @app.exception_handler(RequestValidationError)
    async def say_what_to_send(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({'detail': FIELDS}, 422)

    app.include_router(router)
    _add_description(app)


def _add_description(app: FastAPI) -> None:
    """Add /docs, a page that describes the API. Its scripts come from a package, so that it works without a network."""
    app.mount('/swagger', StaticFiles(directory=swagger_ui_path))
    app.openapi_version = '3.0.3'  # the newest that the bundled page shows

    @app.get('/docs', include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get('root_path', '')
        place = f'{root}/swagger'
        return get_swagger_ui_html(
            openapi_url=f'{root}{app.openapi_url}',
            title=app.title,
            swagger_js_url=f'{place}/swagger-ui-bundle.js',
            swagger_css_url=f'{place}/swagger-ui.css',
            swagger_favicon_url=f'{place}/favicon-32x32.png',
        )


def _pictures(images: Sequence[UploadFile], prompts: Sequence[str], most: int) -> list[Picture]:
    """The pictures with their prompts.

    Raises:
        HTTPException: for too many pictures, or a number of prompts that does not fit.
    """
    if len(images) > most:
        raise HTTPException(
            413, f'{len(images)} images were sent, and at most {most} are taken: send several requests.'
        )
    if len(prompts) not in (0, 1, len(images)):
        raise HTTPException(
            422, f'{len(prompts)} prompts were given for {len(images)} images: give one for all, one for each, or none.'
        )
    each: Sequence[str | None] = prompts if len(prompts) == len(images) else [*prompts, None][:1] * len(images)
    return [
        Picture(image.filename or '', image.file, prompt or None) for image, prompt in zip(images, each, strict=True)
    ]


def _score(result: Result, prompt_from: str) -> Score:
    return Score(
        name=result.path,
        prompt=result.prompt,
        prompt_from=prompt_from,
        score=result.score,
        reason=result.reason,
        notes=list(result.notes),
        **result.numbers,
    )
