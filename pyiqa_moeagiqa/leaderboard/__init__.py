"""Metrics beside each other on data sets with MOS: figures, intervals, tests."""
