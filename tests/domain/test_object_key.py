"""Keys of objects: any id becomes a safe key, and no two ids become one."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tams_gateway.domain.identifiers import new_object_ids
from tams_gateway.domain.object_key import DEFAULT_TEMPLATE, ending, new_token, object_key

_NOW = 1_700_000_000_000_000_000
_IDS = st.one_of(
    st.text(min_size=1, max_size=40),
    st.text(alphabet="a/.=%_ts~\0é", min_size=1, max_size=8),
    st.from_regex(r"[a-z]{1,3}(\.ts)?", fullmatch=True),
)


def _key(object_id: str, prefix: str = "", token: str = "") -> str:
    return object_key(DEFAULT_TEMPLATE, prefix, object_id, "video/mp2t", _NOW, token)


@given(_IDS)
def test_a_key_is_safe_whatever_the_id(object_id: str) -> None:
    key = _key(object_id)

    assert re.fullmatch(r"2023/11/14/[A-Za-z0-9._=~-]+\.ts", key)
    assert not {"", ".", ".."} & set(key.split("/"))


@given(_IDS, _IDS)
def test_two_ids_never_share_a_key_without_their_ending(one: str, other: str) -> None:
    same = one.removesuffix(".ts") == other.removesuffix(".ts")

    assert _key(one) != _key(other) or same


@given(_IDS)
def test_an_id_that_comes_again_gets_another_key(object_id: str) -> None:
    """R-OBJ-11: what was handed out for the former object must not reach the new one."""
    one, other = (_key(object_id, token=new_token()) for _ in range(2))

    assert one != other
    assert one.rpartition("/")[2] == other.rpartition("/")[2]


def test_a_very_long_id_is_hashed_into_a_short_key() -> None:
    long = "x" * 2000
    assert len(_key(long)) < 255
    assert _key(long) != _key(long + "x")


@given(st.text(min_size=201, max_size=230))
def test_an_id_that_spells_the_key_of_a_hashed_one_gets_another(long: str) -> None:
    key = _key(long)
    stem = key.removeprefix("2023/11/14/").removesuffix(".ts")
    spelt = re.sub("=([0-9A-F]{2})", lambda escape: chr(int(escape[1], 16)), stem)

    assert _key(stem) != key
    assert _key(spelt) != key


def test_an_id_of_our_own_is_its_file_name() -> None:
    [object_id] = new_object_ids(1, _NOW)
    assert f"live/2023/11/14/{object_id}.ts" == _key(object_id, "live")


def test_an_ending_is_not_doubled() -> None:
    """B27."""
    assert _key("clip.ts") == "2023/11/14/clip.ts"


def test_every_media_type_has_an_ending() -> None:
    """B27."""
    assert ending("video/mp2t") == ".ts"
    assert ending("VIDEO/MP4") == ".mp4"
    assert ending("application/x-fancy") == ".fancy"
    assert ending("application/*") == ".bin"


def test_ids_of_our_own_grow_with_time_and_are_unguessable() -> None:
    """R-STO-10; 74 random bits or more, laid out as UUIDv7."""
    ids = new_object_ids(1000, _NOW)
    later = new_object_ids(1, _NOW + 1_000_000)

    assert sorted(ids) == ids
    assert ids[-1] < later[0]
    assert len(set(ids)) == 1000
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one)
        for one in ids
    )
