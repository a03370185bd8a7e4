"""The one exception family: every message says what, where and what to do."""


class EdgeError(Exception):
    """A problem that a person can act on; the CLI prints it without a stack trace.

    `exit_code` is the process exit status that a command ends with (contract: 1 = done, but the
    answer is no; 2 = wrong usage; 69 = a server cannot be reached; 78 = bad configuration).
    """

    exit_code = 1


class UsageError(EdgeError):
    """The command line asks for something that makes no sense."""

    exit_code = 2


class ConfigError(EdgeError):
    """The site file (or what it names) is wrong; never retried."""

    exit_code = 78


class ModelError(ConfigError):
    """A model card or weight file is missing or not what it claims to be."""


class ModelUnreachable(ModelError):  # noqa: N818  (an event more than an error)
    """Weights could not be fetched this time; the same command may succeed later."""

    exit_code = 69  # EX_UNAVAILABLE of sysexits.h


class SourceError(EdgeError):
    """A video or camera cannot be opened or read."""


class SourceLost(SourceError):  # noqa: N818  (an event more than an error)
    """A source that worked has stopped delivering; whoever owns it may reopen it."""


class EvidenceError(EdgeError):
    """A bundle cannot be written, read or trusted."""


class UplinkError(EdgeError):
    """Events cannot be stored for delivery or delivered."""


class SignalError(EdgeError):
    """Signal-controller input or output is unavailable or inconsistent."""
