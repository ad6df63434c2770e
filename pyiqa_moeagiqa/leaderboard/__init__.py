"""Compares metrics on data sets with MOS: figures, intervals and tests."""
