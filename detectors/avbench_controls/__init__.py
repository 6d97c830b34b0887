"""Controls that every table needs: what chance, the commonest class and the files' outsides reach."""
