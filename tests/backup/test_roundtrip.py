"""What was backed up comes back, seen by a client, in another place or over what was there."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import force_setattr, replace

from tams_gateway.auth.principal import ANYBODY
from tams_gateway.storage.changes import ABSENT
from tams_gateway.storage.query import Equal, Query, Sort
from tams_gateway.storage.webhooks import WEBHOOK, StoredWebhook, read_webhook
from tams_gateway.testing.samples import new_id
from tams_gateway.testing.waiting import eventually
from tests.backup.conftest import HEADERS, Site, shown

MakeSite = Callable[[str], Site]


@pytest.fixture
def old(site: MakeSite) -> Site:
    made = site("old")
    flow_id = made.ingest.flow(tags={"one": "two"})
    first = made.upload(flow_id, b"first" * 100_000, 0)
    made.upload(flow_id, b"second", 1)
    made.ingest.add(flow_id, "[9:0_10:0)")
    second = made.deployment.assembly.settings.objects[1].id
    made.client.post(f"/objects/{first}/instances", json={"storage_id": second})
    assert eventually(lambda: len(made.ingest.media_object(first)["get_urls"]) == 4)
    (waiting,) = made.ingest.allocate(flow_id)
    assert made.client.put(waiting["put_url"]["url"], body=b"up", headers=HEADERS).status == 200
    made.ingest.allocate(flow_id)
    assert made.client.post("/service", json={"name": "Old"}).status == 200
    return made


def files(folder: Path) -> set[Path]:
    return {one for one in folder.rglob("*") if one.is_file()}


def test_a_backup_is_restored_in_another_place(old: Site, site: MakeSite, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    done = old.run("backup", str(target))
    assert done.exit_code == 0, done.output
    assert "3 segments and 4 objects" in done.output
    assert {0o600, 0o700} >= {one.stat().st_mode & 0o777 for one in target.rglob("*")}
    assert 0o700 == target.stat().st_mode & 0o777

    new = site("new")
    restored = new.run("restore", str(target))
    assert restored.exit_code == 0, restored.output

    assert shown(old.client) == shown(new.client)
    verified = new.run("verify", "--json")
    assert verified.exit_code == 0, verified.output
    report = json.loads(verified.output)
    assert (4, 0, 3, []) == tuple(
        report[name] for name in ("instances", "unproven", "segments", "faults")
    )


def test_a_restored_webhook_hears_what_comes(old: Site, site: MakeSite, tmp_path: Path) -> None:
    """R-WHK-24: its place among the events of the other store means nothing here."""
    made = StoredWebhook(
        id=new_id(),
        url="https://hook.example.com",
        events=("flows/created",),
        tags={"team": "news"},
        owner=ANYBODY,
        base="",
        since="1000000",
    )
    old.deployment.gateway.metadata.apply([made.put(ABSENT)])
    assert old.run("backup", str(tmp_path / "backup")).exit_code == 0
    new = site("new")
    force_setattr(new.deployment.gateway, "listening", True)
    assert new.run("restore", str(tmp_path / "backup")).exit_code == 0

    flow_id = new.ingest.flow()

    metadata = new.deployment.gateway.metadata
    [record] = metadata.find(Query(WEBHOOK, (Equal("tag.team", "news"),), Sort("url"))).items
    restored = read_webhook(record)
    assert restored == replace(made, since=restored.since)
    told = metadata.events(restored.since, 1000).items
    assert [one.fields.get("flow_id") for one in told if one.type == "flows/created"][-1] == flow_id


def test_a_store_that_is_in_use_is_not_lost_unasked(
    old: Site, site: MakeSite, tmp_path: Path
) -> None:
    old.run("backup", str(tmp_path / "backup"))
    before = shown(old.client)
    done = old.run("restore", str(tmp_path / "backup"))
    assert done.exit_code == 1
    assert "not empty; say --replace" in done.output
    assert before == shown(old.client)


def test_restoring_over_a_running_gateway_takes_back_what_came_since(
    old: Site, tmp_path: Path
) -> None:
    before = shown(old.client)
    kept = files(old.folder / "main") | files(old.folder / "second")
    old.run("backup", str(tmp_path / "backup"))
    late = old.ingest.flow()
    old.upload(late, b"late", 0)
    (flow_id,) = (one["id"] for one in before["/flows"])
    old.upload(flow_id, b"later", 5)
    old.client.delete(f"/flows/{flow_id}/segments", query="timerange=[0:0_1:0)")
    assert before != shown(old.client)

    done = old.run("restore", "--replace", str(tmp_path / "backup"))

    assert done.exit_code == 0, done.output
    assert before == shown(old.client)
    assert eventually(
        lambda: len(files(old.folder / "main") | files(old.folder / "second")) == len(kept)
    )
    assert old.run("verify").exit_code == 0
    old.upload(flow_id, b"again", 5)


def test_a_second_backup_copies_what_is_new(old: Site, site: MakeSite, tmp_path: Path) -> None:
    target = str(tmp_path / "backup")
    assert "500008 bytes were copied" in old.run("backup", target).output
    assert "; 0 bytes were copied" in old.run("backup", target).output
    (flow,) = old.client.listed("/flows")
    old.client.delete(f"/flows/{flow['id']}/segments", query="timerange=[0:0_1:0)")
    old.upload(flow["id"], b"new", 3)
    assert "; 3 bytes were copied" in old.run("backup", target).output
    assert 6 == len(files(tmp_path / "backup"))
    assert old.run("verify", target).exit_code == 0
    new = site("new")
    assert new.run("restore", target).exit_code == 0
    assert shown(old.client) == shown(new.client)


def test_damage_is_found_in_the_store_and_in_the_backup(old: Site, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    old.run("backup", str(target))
    (victim,) = (one for one in files(target) if one.stat().st_size == len(b"second"))
    victim.write_bytes(b"sEcond")
    before = shown(old.client)

    assert old.run("verify", str(target)).exit_code == 1
    done = old.run("restore", "--replace", str(target))
    assert done.exit_code == 1
    assert "damaged, and nothing was changed" in done.output
    assert before == shown(old.client)

    (victim,) = (one for one in files(old.folder / "main") if one.stat().st_size == len(b"second"))
    victim.write_bytes(b"sEcond")
    done = old.run("verify")
    assert done.exit_code == 1
    assert "CHANGED: object" in done.output
    victim.write_bytes(b"short")
    assert "SIZE: object" in old.run("verify").output
    victim.unlink()
    assert "MISSING: object" in old.run("verify").output
    done = old.run("backup", str(tmp_path / "other"))
    assert done.exit_code == 1
    assert "DAMAGED: object" in done.output


def test_a_damaged_store_is_mended_from_a_backup(old: Site, tmp_path: Path) -> None:
    before = shown(old.client)
    old.run("backup", str(tmp_path / "backup"))
    small = [one for one in files(old.folder / "main") if one.stat().st_size == len(b"second")]
    small[0].write_bytes(b"sEcond")
    assert old.run("restore", "--replace", str(tmp_path / "backup")).exit_code == 0
    assert before == shown(old.client)
    assert not small[0].exists()


def test_a_backend_that_the_config_lacks_is_named(
    old: Site, site: MakeSite, tmp_path: Path
) -> None:
    old.run("backup", str(tmp_path / "backup"))
    new = site("new")
    text = new.config.read_text().replace("objects.second", "objects.third")
    new.config.write_text(text)
    done = new.run("restore", str(tmp_path / "backup"))
    assert done.exit_code == 1
    assert "storage backend 'second'" in done.output


def test_a_directory_of_something_else_is_left_alone(old: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter").write_text("dear")
    done = old.run("backup", str(other))
    assert done.exit_code == 1
    assert "give a directory of its own" in done.output
    assert [other / "letter"] == list(other.iterdir())
    assert "no backup that was finished" in old.run("restore", str(other)).output
    assert "no backup that was finished" in old.run("verify", str(other)).output
