"""Paired measurements against other registries on the same machine in the same run, printed as ratios."""
