"""The functions that `import avbench` offers, which the command line calls too.

In: names, paths and plain values. Out: runs and tables. May import: every wing but cli.
"""
