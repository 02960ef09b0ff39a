"""Every error that dataenv raises on purpose. Messages name the value and the way out."""


class DataEnvError(Exception):
    """Base of all errors below."""


class ConfigError(DataEnvError, ValueError):
    """A configuration or an argument on our side of the fence is wrong."""


class UnknownNameError(ConfigError):
    """A name is in none of the tables; the message suggests the nearest."""


class InvalidAction(DataEnvError):
    """An action cannot be carried out. Caught by the environment, which reports and charges it.

    Args:
        message: What was wrong, with the value.
        hint: How to mend it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class BudgetExhausted(InvalidAction):
    """The operation needs more of a budget than is left."""


class SandboxUnavailable(InvalidAction):
    """Programs cannot be isolated on this machine, so that none is run."""


class LimitReached(DataEnvError):
    """A program was stopped at one of its limits. Becomes part of an observation."""


class TimeLimit(LimitReached):
    """It ran too long."""


class MemoryLimit(LimitReached):
    """Its processes held too much memory together."""


class ProcessLimit(LimitReached):
    """It had too many processes and threads."""


class DiskFull(LimitReached):
    """It filled one of its folders."""


class OutputLimit(LimitReached):
    """It printed too much."""


class EnvironmentFault(DataEnvError, RuntimeError):
    """The environment itself failed (teacher down, training crashed). Never a reward."""


class TeacherUnavailable(EnvironmentFault):
    """The teacher did not answer, after all retries."""


class StudentUnavailable(EnvironmentFault):
    """A served student did not answer, after all retries."""


class AgentUnavailable(EnvironmentFault):
    """The language model that a controller asks did not answer, after all retries."""


class ReplayFault(EnvironmentFault):
    """A replay went another way than what was recorded."""


class CacheMiss(EnvironmentFault):
    """A replay was asked for a reply that was never recorded."""


class TrainingFault(EnvironmentFault):
    """Training crashed for a reason that is not in the data."""


class LearningFault(EnvironmentFault):
    """Episodes that a learner asked for could not be played."""


class StoreFault(EnvironmentFault):
    """The store of a run cannot be read or written: another process has it, the disk is full, or it
    is damaged."""


class FetchError(DataEnvError, RuntimeError):
    """Something that is needed could not be fetched; the message says from where and why."""
