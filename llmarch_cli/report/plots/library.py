"""matplotlib and plotext: the error if one is not installed, and matplotlib figures saved as reproducible files."""

from __future__ import annotations

import importlib
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmarch_cli.errors import InputError, shown_path, suggestion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = ("svg", "png", "pdf")
FAMILY = "DejaVu Sans"  # ships with matplotlib: text is equally wide on every machine
DPI = 160.0  # of PNG files

_MATPLOTLIB = "matplotlib.figure"

# Text stays text in files, the same input gives the same bytes, and the user's own settings change nothing.
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "llmarch",
    "pdf.fonttype": 42,
    "font.family": ["sans-serif"],
    "font.sans-serif": [FAMILY, "Verdana", "Arial"],  # the second and third are for viewers of SVG files
    "text.parse_math": False,  # model names may contain dollar signs
    "path.simplify": False,
}
_NO_DATES_OR_VERSIONS: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def require(what: str, otherwise: str = "", module: str = _MATPLOTLIB) -> None:
    """Raise InputError if `module` cannot be imported: `what` needs it, and `otherwise` is another way out."""
    try:
        importlib.import_module(module)
    except ImportError:
        hint = f", or {otherwise}" if otherwise else ""
        raise InputError(
            f"{what} needs {module.partition('.')[0]}, which is not installed: install the extra `plot`"
            f" (in a checkout: pip install '.[plot]'){hint}"
        ) from None


def checked_ending(path: Path | str, endings: Sequence[str] = ENDINGS) -> str:
    """The ending of a file's name in lower case, without its dot. Raises InputError if it is not in `endings`."""
    ending = Path(path).suffix.removeprefix(".").lower()
    if ending not in endings:
        *others, last = (f".{each}" for each in endings)
        raise InputError(
            f"{shown_path(path)}: the file name must end in {', '.join(others)} or {last}{suggestion(ending, endings)}"
        )
    return ending


@contextmanager
def style(**settings: Any) -> Iterator[None]:
    """Draw and save with matplotlib's defaults, the settings for reproducible files, and `settings` on top."""
    from matplotlib import rc_context, rcParamsDefault

    defaults = {name: value for name, value in rcParamsDefault.items() if not name.startswith("backend")}
    changes: Any = {**defaults, **_SETTINGS, **settings}
    with rc_context(changes), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def saved(
    figure: Figure, ending: str, title: str | None = None, dark: Mapping[str, str] | None = None, **options: Any
) -> bytes:
    """A figure drawn inside `style`, as the bytes of a file. `options` are those of `Figure.savefig`.

    `dark` are colours by those that they replace in an SVG file, where a reader prefers dark pages.
    """
    metadata = {**_NO_DATES_OR_VERSIONS[ending], **({} if title is None else {"Title": title})}
    out = io.BytesIO()
    figure.savefig(out, format=ending, metadata=metadata, **{"dpi": DPI, **options})
    if ending != "svg" or not dark:
        return out.getvalue()
    rules = "".join(
        f'[style*="{what}: {colour}"]{{{what}:{other}!important}}'
        for colour, other in dark.items()
        for what in ("fill", "stroke")
    )
    style = f"@media (prefers-color-scheme: dark){{{rules}}}</style>"
    return out.getvalue().replace(b"</style>", style.encode(), 1)
