"""Path converters of /v2. They only cut the path; the grammar of names and references is checked in the views."""


class NameConverter:
    """A repository name: everything up to the last keyword of the route."""

    regex = r"[^?#]+?"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class SegmentConverter(NameConverter):
    """One path segment: a tag or a digest."""

    regex = r"[^/]+"
