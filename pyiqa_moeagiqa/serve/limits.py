"""What a service takes from its callers, and how long it works for one."""

from ..section import Count, Section


class Limits(Section):
    """Limits of a service; each keeps one caller from harming the others.

    Attributes:
        max_images: in one request.
        max_megabytes: of a request's body, in units of 2**20 bytes.
        max_megapixels: of a picture, in millions.
        queue: how many images of all callers wait or are scored at a time; more are refused for the moment.
        timeout: seconds that a request's body may take to arrive, and that its scores may then take.
    """

    max_images: Count = 32
    max_megabytes: Count = 64
    max_megapixels: Count = 40
    queue: Count = 128
    timeout: Count = 120

    @property
    def most_bytes(self) -> int:
        """Of a request's body."""
        return self.max_megabytes << 20

    @property
    def most_pixels(self) -> int:
        """Of a picture."""
        return self.max_megapixels * 1_000_000
