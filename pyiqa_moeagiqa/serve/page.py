"""The page for people, made with gradio: pictures and prompts in, scores out in words and numbers."""

import asyncio
import base64
import math
import shutil
import threading
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from ..pages import filled, png, thumbnail
from ..prompts import metadata_prompt
from ..scoring.explain import ExplanationError, explain
from ..scoring.explain_figure import draw_places
from ..scoring.run import reason_of
from ..scoring.scale import number_columns, scales_of
from ..scoring.tables import as_table
from ..spreadsheet import as_csv
from .service import Answer, Busy, Picture, Service, TooSlow
from .told import told

AT_ONCE = 8  # callers whose pictures are read for their prompts, or that wait for scores
KEPT = (60, 3600)  # seconds: how often old uploads are looked for, and from what age on they are removed
SHOWN = 0.0005  # of a score, which is shown to three decimals
THEME = gr.themes.Default(primary_hue='blue', font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace'])
STYLE = (Path(__file__).parent / 'page.css').read_text(encoding='utf-8')
INTRODUCTION = """
# How good is this picture, for this prompt?

Drop pictures that a text-to-image model made. MoE-AGIQA scores them on the machine that serves this page, which keeps none.
"""


class Best(NamedTuple):
    """The picture whose score can be explained: the best of those scored last."""

    path: str
    prompt: str


def page(service: Service) -> gr.Blocks:
    """Make the page of a service."""
    handlers = _Handlers(service)
    with gr.Blocks(title='MoE-AGIQA', analytics_enabled=False, delete_cache=KEPT) as blocks:
        gr.Markdown(INTRODUCTION)
        filled_in, best = gr.State(''), gr.State(None)
        with gr.Row(equal_height=False):
            with gr.Column(min_width=320):
                files = gr.File(file_count='multiple', label='Pictures', height=180)
                prompt = gr.Textbox(label='Prompt', lines=2, max_lines=6, placeholder=PLACEHOLDER)
                other = gr.Textbox(label='Another prompt to compare with (can be left empty)', lines=1, max_lines=6)
                score = gr.Button('Score', variant='primary')
            with gr.Column(min_width=320):
                report = gr.HTML(html_template=LIVE)
                why = gr.Button('Show where the best score comes from', visible=False)
                explanation = gr.HTML(html_template=LIVE)
        # Past the queue: gradio (6.31) loses the answer of an event that joins the queue while the answer before it ends.
        files.upload(
            handlers.fill_in, [files, prompt, filled_in], [prompt, filled_in], queue=False, api_visibility='private'
        )
        asked = [files, prompt, other]
        for event in (score.click, prompt.submit, other.submit):
            event(handlers.score, asked, [report, best, why, explanation], api_visibility='private')
        why.click(handlers.explain, [best], [explanation], concurrency_limit=1, api_visibility='private')
        blocks.unload(handlers.forget)
    return blocks.queue(api_open=False, max_size=service.limits.queue, default_concurrency_limit=AT_ONCE)


PLACEHOLDER = 'Filled in from a picture that has it in its metadata. Left empty, each picture is scored for its own.'
LIVE = '<div aria-live="polite">${value}</div>'  # so that a screen reader says what has changed


class _Handlers:
    """What the page's events do."""

    def __init__(self, service: Service):
        self.service = service
        self.scales, self.numbers = scales_of(service.metric), number_columns(service.metric)
        self.uploads: defaultdict[str | None, set[Path]] = defaultdict(set)
        self.reading = asyncio.Semaphore(AT_ONCE)  # what is past gradio's queue has no limit of gradio's
        self.decoding = (
            threading.Lock()
        )  # for thumbnails one picture is decoded at a time, as all its pixels are in memory

    async def fill_in(
        self, files: list[str] | None, prompt: str, filled_in: str, request: gr.Request
    ) -> tuple[Any, Any]:
        """Fill in the prompt that all files have in common; what a person typed, also in the meantime, stays."""
        paths = set(files or ())
        if request.session_hash is not None:  # a program can leave it out; its uploads are removed by their age
            self.uploads[request.session_hash].update(map(Path, paths))
        if len(paths) > self.service.limits.max_images:  # Score says that these are too many
            return gr.skip(), gr.skip()
        async with self.reading:
            common = await asyncio.to_thread(_common_prompt, paths)
        if common == filled_in or prompt.strip() not in ('', filled_in):
            return gr.skip(), gr.skip()
        return common, common

    def forget(self, request: gr.Request) -> None:
        """Remove what was uploaded from a page that was closed, unless another page has the same picture."""
        gone = self.uploads.pop(request.session_hash, set())
        for path in gone.difference(*self.uploads.values()):
            shutil.rmtree(path.parent, ignore_errors=True)

    async def score(self, files: list[str] | None, prompt: str, other: str) -> tuple[str, Best | None, Any, str]:
        """Score all files, and show them with the best first; with another prompt, say which of the two fits better."""
        prompts = [text.strip() or None for text in (prompt, other) if text.strip()] or [None]
        pictures = [(path, text) for path in files or () for text in prompts]
        try:
            answers = await self._answers(pictures)
        except (Busy, TooSlow, _NotAsked) as error:
            return _report([str(error)], []), None, gr.Button(visible=False), ''
        compared = self._compared(answers) if len(files or ()) == 1 and len(prompts) == 2 else None
        order = compared[1] if compared else sorted(range(len(answers)), key=lambda place: _rank_key(answers[place]))
        shown = [(pictures[place][0], answers[place]) for place in order]
        cards = await asyncio.to_thread(self._cards, shown, len(shown) > 1 and not compared)
        first = answers[order[0]].result
        best = None if first.score is None else Best(pictures[order[0]][0], first.prompt)
        table = as_table([answers[place].result for place in order], self.numbers)
        csv = base64.b64encode(as_csv(table).encode()).decode()
        return _report([compared[0]] if compared else [], cards, csv), best, gr.Button(visible=best is not None), ''

    async def _answers(self, pictures: Sequence[tuple[str, str | None]]) -> list[Answer]:
        most = self.service.limits.max_images
        if not pictures:
            raise _NotAsked('There is no picture yet: drop one, or choose it.')
        if len(pictures) > most:
            raise _NotAsked(
                f'These are {len(pictures)} scores, and at most {most} are made at a time: remove some pictures.'
            )
        with ExitStack() as stack:
            try:
                opened = [stack.enter_context(open(path, 'rb')) for path, _ in pictures]
            except FileNotFoundError as error:
                raise _NotAsked(
                    f'{Path(error.filename).name} is no longer here: remove it and drop it again.'
                ) from None
            asked = zip(pictures, opened, strict=True)
            return await self.service.score([Picture(Path(path).name, file, text) for (path, text), file in asked])

    def _cards(self, answers: Sequence[tuple[str, Answer]], are_ranked: bool) -> list[dict[str, Any]]:
        """What is shown of each picture, in order."""
        return [
            {
                'rank': place if are_ranked and result.score is not None else None,
                'name': result.path,
                'thumbnail': '' if result.score is None else self._thumbnail(path),
                'prompt': result.prompt,
                'prompt_from': prompt_from,
                'reason': result.reason,
                'notes': result.notes,
                'told': told(result, self.scales),
            }
            for place, (path, (result, prompt_from)) in enumerate(answers, 1)
        ]

    def _thumbnail(self, path: str) -> str:
        with self.decoding:
            return thumbnail(path)

    def _compared(self, answers: Sequence[Answer]) -> tuple[str, list[int]] | None:
        """Which of two prompts one picture fits better, judged by its alignment if the metric has it, and their order."""
        target = 'alignment' if 'alignment' in self.scales else next(iter(self.scales))
        scores = [answer.result.scores.get(target, math.nan) for answer in answers]
        if not all(map(math.isfinite, scores)):
            return None
        order = sorted((0, 1), key=lambda place: -scores[place])
        high, low = (scores[place] for place in order)
        scale, prompt = self.scales[target], answers[order[0]].result.prompt
        least, most = scale.mos_range or (0, 1)
        said = f'“{prompt}” has the higher {target}, by {(high - low) * (most - least):.2f} of {most:g}.'
        if scale.interval is not None and high + scale.interval[0] < low:
            said += ' That is within its interval: they are hard to tell apart.'
        return said, order

    async def explain(self, best: Best | None) -> str:
        """Show what each place of the best picture, and each word of its prompt, gives to its score."""
        if best is None:
            return _report(['There is no score to explain yet.'], [])
        try:
            return await asyncio.to_thread(self._explained, *best)
        except (ExplanationError, ValueError) as error:
            return _report([reason_of(error, best.path)], [])

    def _explained(self, path: str, prompt: str) -> str:
        found = explain(self.service.metric, path, prompt)
        words = list(zip(found.words, found.word_shares, strict=True))
        matter = any(abs(share) >= SHOWN for share in found.word_shares)
        return filled(
            'explained.html', name=Path(path).name, places=png(draw_places(found)), words=words if matter else []
        )


def _common_prompt(paths: set[str]) -> str:
    """The prompt that stands in the metadata of all pictures; '' if they have different ones."""
    found = {(metadata_prompt(path) or ('', ''))[0] for path in paths}
    return found.pop() if len(found) == 1 else ''


class _NotAsked(ValueError):
    """The form cannot be used as it is filled in; the message is one sentence."""


def _rank_key(answer: Answer) -> tuple[bool, float]:
    score = answer.result.score
    return score is None, -(score or 0.0)


def _report(messages: list[str], cards: list[dict[str, Any]], csv: str = '') -> str:
    return filled('scores.html', messages=messages, cards=cards, csv=csv)
