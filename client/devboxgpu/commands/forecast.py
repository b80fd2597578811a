"""`--dry-run` of `shell` and `run`: what would be decided, said without deciding it."""

from __future__ import annotations

from collections.abc import Mapping

import click

from devboxgpu.configuration import Configuration
from devboxgpu.data_output import show
from devboxgpu.errors import EXIT_ERROR
from devboxgpu.identifiers import new_shell_id
from devboxgpu.wire_opening import Decision
from devboxgpu.wording import estimate, money, ordinal, printable

GOOD_VERDICTS = frozenset({"admit", "join", "wait"})


def say_decision(
    configuration: Configuration, request: Mapping[str, object], *, output: str | None, query: str | None
) -> int:
    """One sentence, or the decision as data where data is asked for; 1 where the shell would not be opened."""
    answer = configuration.control_plane().decide_shell(new_shell_id(), request)
    decision = Decision.read(answer)
    if output is None and query is None:
        click.echo(sentence(decision))
    else:
        show(answer, output or "table", query)
    return 0 if decision.verdict in GOOD_VERDICTS else EXIT_ERROR


def sentence(decision: Decision) -> str:
    """What would become of the shell: `would start at once: T4 in westus3 · est. 1.56 USD/h · ready in about 40 s`."""
    gpu = " in ".join(part for part in (decision.gpu_type, decision.region) if part)
    price, why = decision.price_an_hour, decision.why
    facts = [
        gpu,
        f"est. {money(price)}/h" if price is not None else None,
        _when(decision),
        f"{why.code}: {why.message}" if why is not None else None,
    ]
    told = " · ".join(fact for fact in facts if fact)
    return printable(f"{_verdict(decision)}: {told}" if told else _verdict(decision))


def _verdict(decision: Decision) -> str:
    match decision.verdict:
        case "admit":
            return "would start at once"
        case "join":
            return f"would join session {decision.session or 'unknown'}"
        case "wait":
            position = decision.queue_position
            return f"would wait as {ordinal(position)} in line" if position else "would wait in line"
        case "refuse":
            return "would be refused"
        case other:
            return f"'{other}' is a decision that this devboxgpu does not know, update it"


def _when(decision: Decision) -> str | None:
    if decision.verdict == "wait":
        wait_s = decision.expected_wait_s
        return "wait unknown" if wait_s is None else f"wait {estimate(wait_s)}"
    ready_s = decision.expected_ready_s
    return f"ready in {estimate(ready_s)}" if ready_s is not None else None
