"""An audit entry's details in words: nothing empty, no spelling of a programming language."""

from __future__ import annotations

from dashboard.templatetags.records import facts


def test_what_says_nothing_is_left_out_and_the_rest_is_in_words() -> None:
    details = {
        "kind": "errors",
        "server": "",
        "at_least": 20,
        "threshold": 80.0,
        "quiet_from": None,
        "enabled": False,
        "destinations": ["dst_1", "dst_2"],
        "before": {"tier": "pro", "ends": None},
        "none": [],
        "zero": 0,
    }
    assert facts(details) == [
        ("kind", "errors"),
        ("at least", "20"),
        ("threshold", "80"),
        ("enabled", "no"),
        ("destinations", "dst_1, dst_2"),
        ("before", "tier pro"),
        ("zero", "0"),
    ]
