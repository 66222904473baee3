"""A plugin in Python knows for whom it was built, from its overlay alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from km_plugin_sdk import customer as customers
from km_plugin_sdk.customer import CustomerError, NoCustomerError
from km_protocol.kmpkg import keys
from km_protocol.kmpkg.slot import CustomerData

SEED = bytes(range(32))
DATA = CustomerData("cus_1", "bld_1", "3f9a0c41d2e81b77", keys.to_text(SEED))


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """An unpacked plugin, built for a customer."""
    (tmp_path / "overlay").mkdir()
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "overlay" / "customer.json").write_bytes(DATA.encode())
    return tmp_path


def test_the_overlay_says_whose_it_is_and_its_key_signs(plugin: Path) -> None:
    found = customers.customer(plugin / "overlay")
    assert (found.customer_id, found.build_id, found.issuer) == ("cus_1", "bld_1", "3f9a0c41d2e81b77")
    assert keys.is_signed(keys.public_of(SEED), found.sign(b"challenge"), b"challenge")
    assert DATA.build_key not in repr(found)


@pytest.mark.parametrize("entry", ["main.py", "src/start/main.py"])
def test_the_overlay_is_found_beside_the_manifest(plugin: Path, entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [str(plugin / entry)])
    assert customers.customer().build_id == "bld_1"


def test_the_host_may_say_where_the_overlay_is(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(customers.VARIABLE, str(plugin / "overlay"))
    assert customers.customer().customer_id == "cus_1"


def test_a_plugin_in_development_is_nobodys(tmp_path: Path) -> None:
    with pytest.raises(NoCustomerError, match="not built for a customer"):
        customers.customer(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", DATA.encode() + b" ", b"{}", b"x" * 10_000])
def test_damaged_data_is_an_error_and_nobody(plugin: Path, damage: bytes) -> None:
    (plugin / "overlay" / "customer.json").write_bytes(damage)
    with pytest.raises(CustomerError, match=r"customer\.json"):
        customers.customer(plugin / "overlay")
