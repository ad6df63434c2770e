"""``python -m pyiqa_moeagiqa`` is the command ``moeagiqa``."""

from .cli import main

main()
