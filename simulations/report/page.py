"""One self-contained HTML page for a run or a sweep: no script, nothing fetched from anywhere.

Guarantee: the page holds counts, rates and site names of the folder and pictures of invented
people. Whatever the folder says is escaped, and the page forbids itself every request.
"""

from pathlib import Path
from typing import Any

from common.errors import RunError
from simulations.pieces import write_whole
from simulations.report.reading import RunFolder, SweepFolder, read_folder
from simulations.report.run_page import run_context
from simulations.report.sweep_page import sweep_context

PAGE = "report.html"
TEMPLATES = Path(__file__).parent / "templates"


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Writes the page of the run or sweep in ``folder`` and returns where it lies.

    By default that is ``report.html`` in the folder. Raises ``RunError`` where the folder holds
    neither, or where the page cannot be written.
    """
    path = out or folder / PAGE
    page = render(read_folder(folder))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, page.encode())
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error
    return path


def render(found: RunFolder | SweepFolder) -> str:
    """The page as text."""
    if isinstance(found, RunFolder):
        return filled("run.html", run_context(found))
    return filled("sweep.html", sweep_context(found))


def filled(template: str, context: dict[str, Any]) -> str:
    """The page that ``template`` makes of ``context``; whatever is in it is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup((TEMPLATES / "style.css").read_text("utf-8"))  # noqa: S704 (our own file)
    return environment.get_template(template).render(context | {"style": style})
