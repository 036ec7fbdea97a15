"""Django's PostgreSQL back end with a pool of connections for each process (see base.py)."""
