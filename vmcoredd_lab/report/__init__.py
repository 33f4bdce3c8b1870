"""Reports: one document, several renderings."""

SUFFIXES = (".html", ".json")


def write_report(*a, **k):
    raise NotImplementedError
