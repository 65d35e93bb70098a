"""Programs for those who work on this repository: `python -m tools.NAME`, from its root."""
