"""What the server refuses, with the status and code that clients see."""


class Refused(Exception):
    """A call that fails: `status` of HTTP, `code` as in S3's XML, and a `message`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def bad(message: str, code: str = "InvalidArgument") -> Refused:
    """Return a 400."""
    return Refused(400, code, message)


def missing(what: str, code: str = "NoSuchKey") -> Refused:
    """Return a 404."""
    return Refused(404, code, f"{what} does not exist")


def conflict(message: str, code: str = "Conflict") -> Refused:
    """Return a 409."""
    return Refused(409, code, message)
