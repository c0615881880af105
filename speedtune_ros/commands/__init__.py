"""The subcommands of `speedtune`: one module each, `record_demos.py` being `speedtune record-demos`.

A module has `HELP` (one line), `configure(parser)` and `run(arguments) -> exit status`, and imports what is
slow inside `run`, so that `speedtune --help` stays quick.
"""
