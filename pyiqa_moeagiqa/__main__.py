"""``python -m pyiqa_moeagiqa`` runs the command ``moeagiqa``."""

from .cli import main

main()
