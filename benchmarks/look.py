"""How every chart of proxies looks: size, colours, quiet axes."""

from pathlib import Path
from typing import Final, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Sheet

FAINT: Final = "#9aa3ad"
DARK: Final = "#1f2933"
_WIDTH_IN: Final = 8.0  # 800 px in a README; drawn at twice that
_DPI: Final = 200
_GRID: Final = "#e4e7eb"


def new_sheet(title: str, height_in: float) -> Sheet:
    sheet = Sheet(figsize=(_WIDTH_IN, height_in), layout="constrained")
    sheet.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=DARK)
    return sheet


def save(sheet: Sheet, path: Path) -> None:
    sheet.savefig(path, dpi=_DPI, facecolor="white")


def quieten(axes: Axes, title: str, *, grid: Literal["x", "y", "both"]) -> None:
    """A title and a grid, and nothing else that is dark."""
    axes.set_title(title, loc="left", fontsize=10.5, color=DARK)
    axes.tick_params(which="both", length=0, labelsize=9, labelcolor=FAINT)
    axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
    axes.grid(axis=grid, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
