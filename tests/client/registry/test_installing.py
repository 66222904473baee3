"""What the account may run is here after a refresh, whole and verified; nothing else is, and nothing else runs."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from km_client.plugins.errors import RefusedError
from km_client.registry import activation, builds, locking, roots
from km_client.registry.errors import RegistryError
from km_client.registry.link import opened
from km_client.registry.standing import Standings

from tests.client.registry.conftest import Laptop
from tests.client.registry.registry_server import CUSTOMER


def refusal(laptop: Laptop) -> RefusedError | None:
    return laptop.standings().refusal(laptop.installed()["checked"])


def test_what_is_offered_and_reviewed_is_installed_as_it_was_built(laptop: Laptop) -> None:
    laptop.offer()
    done = laptop.refresh()
    assert [build.version for build in done.installed] == ["1.2.0"] and not done.failed
    plugin = laptop.directory() / "plugin"
    assert (plugin / "main.py").read_bytes() == b"print('reviewed')\n"
    assert b"cus_a" in (plugin / "overlay" / "customer.json").read_bytes()
    assert (plugin / "main.py").stat().st_mode & 0o777 == 0o400
    assert laptop.standings().plugins["checked"].state == "ok" and refusal(laptop) is None
    assert not laptop.refresh().installed


def test_a_go_plugin_keeps_its_slot_and_its_mode(laptop: Laptop) -> None:
    laptop.offer(name="fast", runtime="go")
    laptop.refresh()
    program = laptop.directory("fast") / "plugin" / "fast"
    assert b"cus_a" in program.read_bytes() and program.stat().st_mode & 0o777 == 0o500


def test_a_refresh_downloads_nothing_twice(laptop: Laptop) -> None:
    laptop.offer()
    cold, warm = laptop.refresh().received, laptop.refresh().received
    assert 0 < warm < cold
    assert sum(".kmpkg" in path for path in laptop.server.asked.elements()) == 1


def test_a_newer_version_takes_the_place_and_the_one_before_stays_on_disk(laptop: Laptop) -> None:
    for number in ("1.0.0", "1.1.0", "1.2.0"):
        laptop.offer(number)
        laptop.refresh()
    assert laptop.versions() == {"checked": "1.2.0"}
    here = sorted(path.name[:5] for path in laptop.directory().parent.iterdir() if path.is_dir())
    assert here == ["1.1.0", "1.2.0"]


def test_the_agents_look_tells_of_a_newer_version_and_installs_it_not(laptop: Laptop) -> None:
    laptop.offer("1.0.0")
    laptop.refresh()
    laptop.offer("1.1.0")
    assert not laptop.check().installed
    assert (laptop.versions(), laptop.standings().plugins["checked"].available) == ({"checked": "1.0.0"}, "1.1.0")


def test_the_agents_look_replaces_a_build_that_may_not_run_any_more(laptop: Laptop) -> None:
    path = laptop.offer("1.0.0")
    laptop.refresh()
    del laptop.registry.offered[CUSTOMER][path]
    laptop.offer("1.0.1")
    assert [build.version for build in laptop.check().installed] == ["1.0.1"]


def test_after_a_downgrade_it_may_not_run_and_comes_back_with_the_tier(laptop: Laptop) -> None:
    path = laptop.offer()
    laptop.refresh()
    target = laptop.registry.offered[CUSTOMER][path]
    laptop.withdraw(path)
    laptop.check()
    assert (found := refusal(laptop)) and found.code == "plugin_not_entitled"
    laptop.registry.offered[CUSTOMER][path] = target
    laptop.registry.publish()
    laptop.check()
    assert refusal(laptop) is None


def test_a_blocked_version_may_not_run_whatever_the_director_lists(laptop: Laptop) -> None:
    laptop.offer()
    laptop.refresh()
    laptop.registry.blocked = [{"name": "checked", "version": "1.2.0", "level": "hard", "reason": "it reads files"}]
    laptop.registry.publish_catalog()
    laptop.check()
    assert (found := refusal(laptop)) and found.code == "plugin_blocked" and "it reads files" in str(found)


def test_a_version_that_was_taken_back_may_not_run_whatever_the_director_lists(laptop: Laptop) -> None:
    laptop.offer()
    laptop.refresh()
    laptop.registry.blocked = [{"name": "checked", "version": "1.2.0", "level": "hard", "state": "yanked"}]
    laptop.registry.publish()
    laptop.check()
    assert laptop.standings().plugins["checked"].state == "yanked"
    refusal = laptop.standings().refusal(laptop.installed()["checked"])
    assert refusal is not None and refusal.code == "plugin_yanked"


def test_a_softly_blocked_one_goes_on_with_a_warning_and_is_not_installed_anew(laptop: Laptop) -> None:
    laptop.offer()
    laptop.refresh()
    laptop.registry.blocked = [{"name": "checked", "version": None, "level": "soft", "reason": "slow"}]
    laptop.offer("1.3.0")
    laptop.refresh()
    assert laptop.versions() == {"checked": "1.2.0"} and refusal(laptop) is None
    found = laptop.standings().plugins["checked"]
    assert (found.warning, found.available) == ("slow", "")


def test_a_softly_blocked_one_goes_on_when_nobody_lists_it_any_more(laptop: Laptop) -> None:
    """As the service does it: what is blocked leaves every director, and the catalog with its next signatures."""
    path = laptop.offer()
    laptop.refresh()
    laptop.registry.blocked = [{"name": "checked", "version": "1.2.0", "level": "soft", "reason": "slow"}]
    laptop.withdraw(path)
    laptop.registry.reviewed.clear()
    laptop.registry.publish()
    assert not laptop.check().installed
    assert refusal(laptop) is None and laptop.standings().plugins["checked"].warning == "slow"
    laptop.registry.blocked[0]["level"] = "hard"
    laptop.registry.publish()
    laptop.check()
    assert (stopped := refusal(laptop)) and stopped.code == "plugin_blocked"


def test_another_version_takes_the_place_of_a_softly_blocked_one_by_itself(laptop: Laptop) -> None:
    laptop.offer()
    laptop.refresh()
    laptop.registry.blocked = [{"name": "checked", "version": "1.2.0", "level": "soft", "reason": "slow"}]
    laptop.offer("1.2.1")
    assert [build.version for build in laptop.check().installed] == ["1.2.1"]
    assert laptop.standings().plugins["checked"].warning == ""


def test_a_version_that_no_reviewer_vouches_for_any_more_is_yanked(laptop: Laptop) -> None:
    path = laptop.offer()
    laptop.refresh()
    laptop.registry.reviewed.clear()
    laptop.withdraw(path)
    laptop.check()
    assert (found := refusal(laptop)) and found.code == "plugin_yanked"


def test_what_was_removed_stays_away_until_somebody_asks(laptop: Laptop) -> None:
    laptop.offer()
    laptop.refresh()
    plugin = laptop.directory().parent
    activation.remove(plugin)
    assert not laptop.refresh().installed and not laptop.versions()
    assert not [path for path in plugin.iterdir() if path.is_dir()]
    assert laptop.refresh("checked").installed


def test_an_active_build_is_not_removed_under_whoever_may_start_it(laptop: Laptop) -> None:
    laptop.offer("1.0.0")
    laptop.refresh()
    first = laptop.directory()
    hold = builds.hold(first)
    for number in ("1.1.0", "1.2.0"):
        laptop.offer(number)
        laptop.refresh()
    assert first.exists()
    hold.release()
    laptop.offer("1.3.0")
    laptop.refresh()
    assert not first.exists()


@pytest.mark.parametrize("change", ["content", "added", "removed", "record", "link"])
def test_a_build_that_was_changed_does_not_start_and_is_fetched_again(laptop: Laptop, change: str) -> None:
    laptop.offer()
    laptop.refresh()
    directory, build = laptop.directory(), laptop.installed()["checked"]
    now = datetime.now(UTC)
    builds.check(directory, build, now=now)
    main = directory / "plugin" / "main.py"
    main.chmod(0o600)
    if change == "content":
        main.write_bytes(b"print('evil')    \n")
    elif change == "added":
        (directory / "plugin" / "\xe9vil.py").write_text("1")
    elif change == "record":
        (directory / "record.json").unlink()
    else:
        main.unlink()
    if change == "link":
        main.symlink_to("/etc/hostname")
    with pytest.raises(RefusedError) as caught:
        builds.check(directory, build, now=now)
    assert caught.value.code == "plugin_tampered"
    assert laptop.check().installed
    builds.check(laptop.directory(), build_of(laptop), now=now)


def build_of(laptop: Laptop) -> builds.Build:
    return laptop.installed()["checked"]


def test_an_expired_build_does_not_start(laptop: Laptop) -> None:
    laptop.offer()
    laptop.refresh()
    later = datetime.now(UTC) + timedelta(days=40)
    with pytest.raises(RefusedError) as caught:
        builds.check(laptop.directory(), build_of(laptop), now=later)
    assert caught.value.code == "package_expired"


def test_going_back_happens_once_and_the_failed_build_is_not_taken_again(laptop: Laptop) -> None:
    laptop.offer("1.0.0")
    laptop.refresh()
    laptop.offer("1.1.0")
    laptop.refresh()
    plugin, failed = laptop.directory().parent, laptop.directory().name
    assert activation.roll_back(plugin, failed, "it crashes").startswith("1.0.0")
    assert activation.load(plugin).failed == {failed: "it crashes"}
    laptop.refresh()
    assert laptop.versions() == {"checked": "1.0.0"}
    laptop.refresh("checked")  # a person insists
    assert laptop.versions() == {"checked": "1.1.0"}


def test_private_plugins_count_by_the_reviewers_of_the_catalog(laptop: Laptop) -> None:
    made = laptop.made(name="own-tool")
    path = laptop.registry.offer(CUSTOMER, made, reviewed=False)
    laptop.registry.offered[CUSTOMER][path].unrecognized_fields["custom"]["private"] = True
    laptop.registry.review("own-tool/1.2.0/any", made.payload_digest)
    private = {"own-tool/1.2.0/any": laptop.registry.reviewed.pop("own-tool/1.2.0/any")}
    laptop.registry.private[CUSTOMER] = private, laptop.registry.reviewers
    laptop.registry.publish()
    laptop.refresh()
    assert laptop.versions() == {"own-tool": "1.2.0"} and laptop.standings().plugins["own-tool"].state == "ok"


def test_reviewers_whom_only_the_director_names_do_not_count(laptop: Laptop) -> None:
    made = laptop.made(name="own-tool")
    path = laptop.registry.offer(CUSTOMER, made, reviewed=False)
    laptop.registry.offered[CUSTOMER][path].unrecognized_fields["custom"]["private"] = True
    laptop.registry.review("own-tool/1.2.0/any", made.payload_digest)
    private = {"own-tool/1.2.0/any": laptop.registry.reviewed.pop("own-tool/1.2.0/any")}
    laptop.registry.private[CUSTOMER] = private, laptop.registry.root_keys
    laptop.registry.publish()
    with pytest.raises(RegistryError) as caught:
        laptop.refresh()
    assert caught.value.code == "registry_signature" and not laptop.versions()


def test_refreshes_at_once_wait_for_each_other(laptop: Laptop) -> None:
    for name in ("one", "two", "three"):
        laptop.offer(name=name)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            laptop.refresh()
        except BaseException as error:  # noqa: BLE001 - whatever a thread raises fails the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and sorted(laptop.versions()) == ["one", "three", "two"]
    assert sum(".kmpkg" in path for path in laptop.server.asked.elements()) == 3


def test_who_holds_the_lock_too_long_is_named(laptop: Laptop) -> None:
    lock_file = laptop.place.lock_file
    with locking.alone(lock_file), pytest.raises(RegistryError) as caught, locking.alone(lock_file, wait_seconds=0.05):
        pass
    assert caught.value.code == "registry_busy"


def test_without_a_network_the_last_word_of_the_registry_holds(laptop: Laptop) -> None:
    laptop.offer()
    laptop.refresh()
    laptop.server.lies = {}
    laptop.server.__exit__(None, None, None)
    with pytest.raises(RegistryError) as caught:
        laptop.refresh()
    assert caught.value.code == "registry_unreachable"
    assert refusal(laptop) is None and laptop.versions() == {"checked": "1.2.0"}


def test_where_nothing_is_known_nothing_may_run(laptop: Laptop) -> None:
    laptop.offer()
    laptop.refresh()
    laptop.place.state_file.write_text("{damaged")
    assert (found := refusal(laptop)) and found.code == "not_entitled"
    assert Standings().refusal(build_of(laptop)) is not None


def test_a_root_from_a_file_is_trusted_and_no_other_one_replaces_it(laptop: Laptop, tmp_path: Path) -> None:
    root, other = tmp_path / "root.json", tmp_path / "other.json"
    root.write_bytes(laptop.registry.files["catalog/1.root.json"])
    other.write_bytes(laptop.registry.files["director/1.root.json"])
    with opened(laptop.destination) as link:
        pinned = roots.pin_from_file(link.place, root, link.api, link.token)
        assert roots.load(link.place) == pinned and len(pinned.fingerprint.split()) == 16
        with pytest.raises(RegistryError) as caught:
            roots.pin_from_file(link.place, other, link.api, link.token)
    assert caught.value.code == "registry_root"


def test_a_full_disk_leaves_what_was_there(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    laptop.offer("1.0.0")
    laptop.refresh()
    laptop.offer("1.1.0")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("km_client.plugins.plugin_files.extract", full)
    done = laptop.refresh()
    assert [one.error.code for one in done.failed] == ["registry_disk"]
    assert laptop.versions() == {"checked": "1.0.0"} and refusal(laptop) is None
    assert not list(laptop.place.plugins.glob("*/.making-*"))


def test_the_trust_file_says_who_counts_for_plugins_verify(laptop: Laptop) -> None:
    laptop.offer()
    laptop.refresh()
    said = msgspec.json.decode((laptop.place.directory / "trust.json").read_bytes())
    assert said["customer_id"] == CUSTOMER and len(said["reviewers"]) == 2
