"""`python -m tinydeploy`."""

from .cli import main

main()
