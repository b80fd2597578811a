"""The traps of the vendor's programming model, each with the rule that avoids it (functions-host.md 7.2).

A trap is told with its number, what happened, the function and the line to change, and what to write instead.
"""

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """The numbers of the rules, as the reference gives them."""

    EARLY_EVENTS = "P1"
    ONE_NAME_A_WAIT = "P2"
    CANCEL_TIMERS = "P3"
    SHORT_TIMERS = "P4"
    NO_RETRY_IN_COMPOUNDS = "P6"
    FIXED_SETS = "P7"
    DRAIN_BEFORE_CONTINUING = "P8"
    CASE_OF_EVENTS = "P10"
    UTC_TIMERS = "P11"
    KNOWN_FUNCTIONS = "P12"
    CUSTOM_STATUS = "P13"
    FEW_STEPS = "P14"
    NO_CALL_HTTP = "P15"
    CHILD_IDS = "P16"
    NO_CREDENTIALS = "P18"
    SAME_STEPS = "P20"
    KNOWN_ORCHESTRATORS = "P22"
    QUIET_EXIT = "P23"


_WHAT_TO_DO = {
    Rule.EARLY_EVENTS: "Give each message an event name of its own, or use events only to wake and read the data in an "
    "activity.",
    Rule.ONE_NAME_A_WAIT: "Give each wait a fresh event name, and keep one wait until it is done.",
    Rule.CANCEL_TIMERS: "Before leaving: `if not timer.is_completed: timer.cancel()`; and await every call.",
    Rule.SHORT_TIMERS: "Loop over timers of a day or less: a timer over six days cannot be cancelled.",
    Rule.NO_RETRY_IN_COMPOUNDS: "Retry inside the activity, in a sub-orchestration, or by a loop of call_activity and "
    "create_timer.",
    Rule.FIXED_SETS: "Wait on fixed sets of tasks; where a pending task is waited for again with a new timer, cancel "
    "that timer once the old task has won.",
    Rule.DRAIN_BEFORE_CONTINUING: "Wait for the events first, or keep what they tell outside of them.",
    Rule.CASE_OF_EVENTS: "Use lower-case constants for event names.",
    Rule.UTC_TIMERS: "Use context.current_utc_datetime plus a timedelta.",
    Rule.KNOWN_FUNCTIONS: "Correct the name, or pass the function itself.",
    Rule.CUSTOM_STATUS: "Set a small status that is not empty; a word for nothing.",
    Rule.FEW_STEPS: "Continue as new, or hand over to another instance, before a hundred steps.",
    Rule.NO_CALL_HTTP: "Make the request in an activity: call_http gives a dict and follows no 202.",
    Rule.CHILD_IDS: "Derive the child's id from the parent's, or give none.",
    Rule.NO_CREDENTIALS: "Keep secrets, SAS and function URLs out of inputs and errors; pass the name of a setting.",
    Rule.SAME_STEPS: "Give the changed orchestrator a new name, or drain the old instances before a change.",
    Rule.KNOWN_ORCHESTRATORS: "Correct the name; take names from one place.",
    Rule.QUIET_EXIT: "Continue as new only when no cancelled timer is due any more: it would swallow events.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """A trap that an orchestration walked into; `at` is "FILE:LINE in FUNCTION" where that is known."""

    rule: Rule
    told: str
    at: str = ""

    def text(self, function: str) -> str:
        """The error: rule, what happened, where, and what to do."""
        where = f"{self.at} ('{function}')" if self.at else f"'{function}'"
        return f"strict mode, rule {self.rule}: {self.told}. Change {where}. {_WHAT_TO_DO[self.rule]}"


class StrictRefusal(Exception):
    """A call that strict mode refuses; the text is that of the trap."""
