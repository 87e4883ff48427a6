"""`python -m notify` is the command `notify`."""

from notify.cli import main

main()
