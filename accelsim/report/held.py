"""What on-chip memories hold over time, as charts."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from accelsim.report import palette
from accelsim.report.figures import styled

#: Columns of an occupancy that are areas, from the bottom, and what they are called.
AREAS = {"kept_bytes": "values that stay", "tile_bytes": "tiles"}
#: Pixels of one memory's chart, and of what stands below all.
ROW, BELOW = 170, 90


def height(frame: pd.DataFrame) -> int:
    """Pixels of the chart of an occupancy."""
    return ROW * frame["memory"].nunique() + BELOW


def occupancy(frame: pd.DataFrame) -> go.Figure:
    """Bytes that each on-chip memory holds over time, one above the other as they are stacked, below its capacity.

    Parameters
    ----------
    frame
        As `RunResult.occupancy` has it.
    """
    memories = list(dict.fromkeys(frame["memory"].astype(str)))
    figure = make_subplots(rows=len(memories), cols=1, shared_xaxes=True, vertical_spacing=0.12 / len(memories))
    for row, memory in enumerate(memories, start=1):
        mine = frame[frame["memory"].astype(str) == memory]
        cycle = mine["cycle"].tolist()
        for column, name in AREAS.items():
            figure.add_trace(
                go.Scatter(
                    x=cycle,
                    y=mine[column].tolist(),
                    mode="lines",
                    line={"width": 0, "shape": "hv", "color": palette.HELD[column]},
                    fillcolor=palette.HELD[column],
                    stackgroup=memory,
                    name=name,
                    legendgroup=column,
                    showlegend=row == 1,
                    hovertemplate=f"{name} in {memory}: %{{y:,}} bytes<br>from cycle %{{x:,}}<extra></extra>",
                ),
                row=row,
                col=1,
            )
        capacity = int(mine["capacity_bytes"].iloc[0])
        figure.add_trace(
            go.Scatter(
                x=[cycle[0], cycle[-1]],
                y=[capacity, capacity],
                mode="lines",
                line={"color": palette.ROOF, "dash": "dash", "width": 1.5},
                name="capacity",
                legendgroup="capacity",
                showlegend=row == 1,
                hovertemplate=f"capacity of {memory}: %{{y:,}} bytes<extra></extra>",
            ),
            row=row,
            col=1,
        )
        figure.update_yaxes(title=f"{memory}, bytes", rangemode="tozero", row=row, col=1)
    figure.update_xaxes(title="core cycles", row=len(memories), col=1)
    return styled(figure)
