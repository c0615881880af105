"""Run chunk-predicting policies on the bimanual ALOHA faster than they were demonstrated."""

__version__ = "0.1.0"
