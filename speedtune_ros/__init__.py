"""Run chunk-predicting policies on the bimanual ALOHA faster than they were demonstrated."""
