"""Run Magma fuzzing campaigns on one machine or many."""

__version__ = "0.1.0"
