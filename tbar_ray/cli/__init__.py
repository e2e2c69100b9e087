"""The `tbar` command line: one file per command group."""
