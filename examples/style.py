"""The look of all plots, and the colours that stand for the two libraries. Import it before plotting."""

import matplotlib

matplotlib.use("Agg")

TORCH, CONVEXT, GREY = "#d9822b", "#1f5fa8", "#777777"
matplotlib.rcParams.update(
    {
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "figure.constrained_layout.use": True,
        "figure.dpi": 120,
        "figure.titlesize": "large",
        "grid.alpha": 0.25,
        "legend.frameon": False,
        "svg.hashsalt": "convext",  # the same plot gives the same file
    }
)
