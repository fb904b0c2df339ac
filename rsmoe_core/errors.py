"""Everything rsmoe may refuse, in one tree. Each message is one line that says what to do next.

    RsmoeError
    ├── UsageError      what was asked cannot be meant: an unknown option value, task or model name
    ├── ImageError      an image that is not HxWx3 uint8, or a mask that does not fit it
    ├── ModelError      a model folder that is missing, incomplete or damaged
    ├── DataError       a data set that is missing or cannot be understood
    ├── TrainingError   a stage that cannot start or go on from what it was given
    └── BackendError    a server or device that stopped working; what is done is kept, and the run can be continued

The command line adds its own branches for scenes and outputs in `rsmoe_cli.errors`.
"""


class RsmoeError(Exception):
    """Root of all refusals; catch it to handle whatever rsmoe reports on purpose."""


class UsageError(RsmoeError):
    """What was asked cannot be meant."""


class ImageError(RsmoeError):
    """An image or its mask has the wrong shape or type."""


class ModelError(RsmoeError):
    """A model folder is missing, incomplete or damaged."""


class DataError(RsmoeError):
    """A data set is missing or cannot be understood."""


class TrainingError(RsmoeError):
    """A training stage cannot start, or cannot go on."""


class BackendError(RsmoeError):
    """A server or a device stopped working in the middle of a run."""
