"""Print the report of ``moeagiqa data check`` as text."""

from rich.console import Console
from rich.table import Table

from .check import CUT_AT, Problem, Report
from .table import SHOWN_ROWS

BAR = 40


def print_report(report: Report, console: Console) -> None:
    """Print the table's facts, then its problems."""
    console.print(f'{report.file}: {report.rows} rows', soft_wrap=True)
    _show_images(report, console)
    _show_prompts(report, console)
    for target, facts in report.mos.items():
        if facts['numbers']:
            title = f'{target}: {facts["lowest"]:.4g} to {facts["highest"]:.4g}, mean {facts["mean"]:.4g}'
            console.print(_histogram(title, facts['edges'], facts['counts']))
    if report.splits:
        console.print(_splits(report))
    for problem in report.problems:
        console.print(f'wrong: {describe(problem)}', style='red', soft_wrap=True)
    if not report.problems:
        console.print('nothing is wrong', style='green')


def describe(problem: Problem) -> str:
    """Return one line: the fault, and up to 20 of the rows that have it."""
    shown = list(zip(problem.rows, problem.cells, strict=True))[:SHOWN_ROWS]
    rows = ', '.join(f'{row} ({cell!r})' for row, cell in shown)
    more = f' and {len(problem.rows) - len(shown)} more' if len(problem.rows) > len(shown) else ''
    return f'{problem.problem} in row{"s" if len(problem.rows) > 1 else ""} {rows}{more}'


def _show_images(report: Report, console: Console) -> None:
    facts = report.images
    if not facts['readable']:
        console.print('images: none can be read')
        return
    sizes = ', '.join(f'{name} {" x ".join(map(str, facts[name]))}' for name in ('smallest', 'median', 'largest'))
    kinds = ', '.join(f'{count} {kind}' for kind, count in facts['kinds'].items())
    console.print(f'images: {facts["readable"]} can be read ({kinds}); {sizes}', soft_wrap=True)


def _show_prompts(report: Report, console: Console) -> None:
    facts = report.prompts
    if not facts['different']:
        console.print('prompts: none')
        return
    most = next(name.removeprefix(CUT_AT) for name in facts if name.startswith(CUT_AT))
    images, tokens = (' / '.join(map(str, facts[name])) for name in ('images_per_prompt', 'tokens'))
    console.print(
        f'prompts: {facts["different"]} different; images per prompt {images}, tokens {tokens} (smallest / median / '
        f'largest); {facts[CUT_AT + most]} are cut at {most} tokens',
        soft_wrap=True,
    )


def _histogram(title: str, edges: list[float], counts: list[int]) -> Table:
    table = Table(title=title, title_justify='left', show_header=False, box=None)
    largest = max(1, *counts)  # 1: all counts are 0 if no MOS is within the range
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        table.add_row(f'{low:.4g} to {high:.4g}', '█' * round(BAR * count / largest), str(count))
    return table


def _splits(report: Report) -> Table:
    table = Table()
    for heading in ('split column', 'train', 'val', 'test', 'none', 'prompts in more than one'):
        table.add_column(heading)
    for column, facts in report.splits.items():
        table.add_row(column, *map(str, facts.values()))
    return table
