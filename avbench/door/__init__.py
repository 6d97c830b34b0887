"""The functions that `import avbench` offers, which the command line calls too.

In come names, paths and plain values; out go runs and tables. May import: every wing but cli.
"""
