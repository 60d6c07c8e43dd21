"""The figures of `estimate` as a person reads them."""

from __future__ import annotations

from typing import Any

from picture_captioner.cli.commands.compose import own_price_remedy
from picture_captioner.cli.terminal import dollars, duration, rate, size
from picture_captioner.errors import count


def rows(values: dict[str, Any], run: str, process: str) -> list[tuple[str, str]]:
    """Name and sentence, in the order in which one asks.

    Args:
        run: the command that is priced.
        process: the one that finds out what is told of the photos.
    """
    found = [
        ("backend", f"{values['backend']}, {_model(values)}"),
        ("photos", f"{values['photos']:,}"),
        ("done", f"{values['done']:,}"),
        ("remaining", f"{values['remaining']:,} ({size(values['bytes_remaining'])})"),
        *_same_shot(values),
        *_moved(values),
        *_dimensions(values, run),
        ("time", _time(values)),
    ]
    if values["sent_to"] is None:
        return [*found, ("cost", "none: nothing leaves this machine")]
    if not values["remaining"]:
        return found
    found += [("tokens", _tokens(values, run)), ("cost", _cost(values, run))]
    if values["cost_usd"] and values["price_source"]:
        found.append(("price", _price(values)))
    if values["batch_cost_usd"]:
        found.append(("batch", _batch(values, run)))
    if spent := values["trial_cost_usd"]:
        found.append(("trial", f"{dollars(spent)}, in no journal: --max-cost does not count it"))
    if values["told_tokens_per_photo"] is not None:
        found.append(("told", _told(values, process)))
    if values["basis"] in _BILLED and values["rule_cost_usd"] is not None:
        found.append(("by rule", _by_rule(values)))
    return found


def _moved(values: dict[str, Any]) -> list[tuple[str, str]]:
    if not (moved := values["moved"]):
        return []
    return [("moved", f"{moved:,} more, moved since captioned: they keep their captions")]


def _same_shot(values: dict[str, Any]) -> list[tuple[str, str]]:
    if not (raws := values["same_shot"]):
        return []
    return [("same shot", f"{raws:,} more, RAW files that take the caption of their JPEG or HEIC")]


def _model(values: dict[str, Any]) -> str:
    return f"model {values['model']}" if values["model"] else "no --model named"


def _dimensions(values: dict[str, Any], run: str) -> list[tuple[str, str]]:
    found = []
    if headers := values["headers_read"]:
        width, height = values["largest"]
        said = f"{values['mean_megapixels']} megapixels on average, largest {width}x{height} "
        said += f"({count(headers, 'header')} read)"
        found.append(("dimensions", f"{said}; sent with {values['edge']} pixels at most"))
    if values["headers_unreadable"]:
        told = f"{values['headers_unreadable']:,}; to see which: {run} --dry-run"
        found.append(("unreadable", told))
    return found


def _tokens(values: dict[str, Any], run: str) -> str:
    sent, written = values["input_tokens_per_photo"], values["output_tokens_per_photo"]
    if sent is None:
        return f"unknown: no published rule says what a photo takes here; {_ask_again(run)}"
    total = f"{values['input_tokens']:,} in, {values['output_tokens']:,} out"
    if values["basis"] in _BILLED:
        return f"{total} ({sent:,} + {written:,} a photo, {_so_far(values)})"
    return f"{total} ({sent:,} + {written:,} a photo, by the provider's rule; out is assumed)"


def _ask_again(run: str) -> str:
    return f"caption some with '{run} --limit 20', then ask again"


def _told(values: dict[str, Any], process: str) -> str:
    """What --hints and --context add, and what it was estimated from."""
    said = f"{values['told_tokens_per_photo']:,} tokens a photo for hints and facts, counted above"
    if not (unknown := values["told_unknown_photos"]):
        return said
    return f"{said}; of {count(unknown)} nothing is known yet: '{process}' looks"


def _so_far(values: dict[str, Any]) -> str:
    told = f"as billed for {count(values['billed_photos'])}"
    return f"{told} in the trial" if values["basis"] == "trial" else f"{told} so far"


_BILLED = {"billed", "trial"}
"""What a figure goes by that is no rule."""


def _cost(values: dict[str, Any], run: str) -> str:
    if values["free"] and not values["cost_usd"]:
        return "none: the model runs on a machine of your own"
    if values["cost_usd"] is None:
        if values["price_source"] is None:
            which = f"of model {values['model']}" if values["model"] else "without a --model"
            remedy = own_price_remedy(values["model"] or "MODEL")
            return f"unknown: no price {which} is known. {remedy}"
        return f"unknown, like the tokens; {_ask_again(run)}"
    total, each = values["cost_usd"], f"{dollars(values['cost_usd_per_photo'])} a photo"
    said = f"about {dollars(total)}, {each}"
    if values["input_cost_usd"] is not None:
        sent, written = dollars(values["input_cost_usd"]), dollars(values["output_cost_usd"])
        said = f"{sent} in + {written} out = about {dollars(total)}, {each}"
    return f"{said}, {_so_far(values)}" if values["basis"] in _BILLED else said


def _price(values: dict[str, Any]) -> str:
    if values["price_date"] is None:
        return f"of {values['price_source']}, which says no date"
    dated = "as of" if values["price_source"] == "your price file" else "data up to"
    return f"of {values['price_source']}, {dated} {values['price_date']}"


def _batch(values: dict[str, Any], run: str) -> str:
    return (
        f"about {dollars(values['batch_cost_usd'])} with '{run} --batch': the provider's batch "
        "jobs, answered within a day (docs/batch.md)"
    )


def _by_rule(values: dict[str, Any]) -> str:
    sent, written = values["rule_input_tokens_per_photo"], values["rule_output_tokens_per_photo"]
    return (
        f"about {dollars(values['rule_cost_usd'])}: {sent:,} + {written:,} tokens a photo; if that "
        "is far off, the photos so far were sent at another size"
    )


def _time(values: dict[str, Any]) -> str:
    if not values["remaining"]:
        return "nothing to do"
    if values["trial_photos"]:
        told = f"about {duration(values['trial_seconds'])}, as {count(values['trial_photos'])} took"
        told += f" {values['trial_seconds_per_photo']:.2g} s each in the trial"
        return f"{told}, one after the other" if values["workers"] > 1 else told
    workers = count(values["workers"], "worker")
    if assumed := values["seconds_an_answer_assumed"]:
        total = duration(values["seconds_at_workers"])
        return f"about {total} with {workers} if an answer takes {assumed:g} s (assumed)"
    if values["seconds"] is None:
        return (
            "unknown: this journal has no speed for this backend and model yet; "
            "--trial 4 captions four photos to find out"
        )
    said = f"about {duration(values['seconds'])} at {rate(values['photos_per_second'])}"
    said += ", as measured so far"
    if values["sent_to"] and (answer := values["seconds_an_answer"]):
        total = duration(values["seconds_at_workers"])
        said += f"; {total} with {workers} at {answer:.2g} s an answer, if nothing limits them"
    return said
