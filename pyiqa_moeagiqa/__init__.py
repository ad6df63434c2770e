"""MoE-AGIQA for pyiqa: how good is an AI-generated image for its prompt?

Importing this package registers the metric with pyiqa, whichever of the two is imported first. Where the wheel is
installed that happens by itself. The package stays light: torch is imported when a metric is made.
"""

from . import plugin

__version__ = '0.1.0'

plugin.install()
