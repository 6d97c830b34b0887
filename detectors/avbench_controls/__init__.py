"""Controls that every table needs: what chance, the commonest class, files' outsides and hand-made numbers reach."""
