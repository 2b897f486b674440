"""`python -m wsdgateway`: the console script."""

from wsdgateway.cli.main import run

run()
