"""`python -m harborlite.cli`."""

from harborlite.cli import main

main()
