"""Marks tell of every change, whoever is stopped or killed between which two steps."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tams_gateway.storage.marks import SIZE, Marks, MarkWatch

IDS = ("a", "b", "c", "id-38", "id-476")
SHARING = {"id-38", "id-476"}
"""Two ids with one mark, by chance."""

Step: TypeAlias = tuple[int, int] | Sequence[str]
"""A word that is written at a place of the memory, or what a commit changes when it is made."""

some_ids = st.lists(st.sampled_from(IDS), max_size=3)


@cache
def left_behind() -> Mapping[str, bytes]:
    """Return what memory in a file may hold when it is opened."""
    new = bytearray(SIZE)
    killed = bytearray(SIZE)
    Marks(killed).changing_all().__enter__()
    # A machine that loses its power may have written some pages of the file and others not.
    return {"new": bytes(new), "killed": bytes(killed), "torn": bytes(4096) + killed[4096:]}


def test_a_change_moves_the_watches_of_its_ids_and_few_others() -> None:
    marks = Marks(bytearray(SIZE))
    watches = {one: marks.watch([one]) for one in (*IDS, "", "\ud800", "\0é")}
    others = [marks.watch([f"other-{number}"]) for number in range(1000)]
    many = marks.watch([*IDS, "\ud800"])
    with marks.changing(["a", "\ud800"]):
        pass
    assert {"a", "\ud800"} == {one for one, watch in watches.items() if watch.moved()}
    assert many.moved()
    assert sum(watch.moved() for watch in others) < 10


def test_ids_that_share_a_mark_move_together() -> None:
    marks = Marks(bytearray(SIZE))
    for one in SHARING:
        watches = [marks.watch([other]) for other in SHARING]
        with marks.changing([one]):
            pass
        assert all(watch.moved() for watch in watches)


def test_a_change_of_anything_moves_every_watch() -> None:
    marks = Marks(bytearray(SIZE))
    watches = [marks.watch([f"{number}"]) for number in range(1000)]
    with marks.changing_all():
        assert all(watch.moved() for watch in watches)
    assert all(watch.moved() for watch in watches)
    assert not marks.watch(["1"]).moved()


def test_marks_in_the_same_memory_are_the_same() -> None:
    shared = bytearray(SIZE)
    here, there = Marks(shared), Marks(memoryview(shared))
    watch, other = here.watch(["a"]), here.watch(["b"])
    with there.changing(["a"]):
        assert watch.moved()
    assert watch.moved()
    assert not other.moved()


def test_memory_that_was_let_go_can_be_freed() -> None:
    shared = bytearray(SIZE)
    marks = Marks(shared)
    with pytest.raises(BufferError):
        shared.clear()
    marks.close()
    shared.clear()


@dataclass
class Watched:
    """A watch in the model, and what is known of it."""

    watch: MarkWatch
    ids: Sequence[str]
    must: bool = False
    may: bool = False

    def met_by(self, changed: Sequence[str]) -> bool:
        return any({one, *(SHARING if one in SHARING else ())} & {*changed} for one in self.ids)


@dataclass
class Model:
    """What watches may say and must, told from commits as a whole: `under_way`, done or dead."""

    watches: list[Watched] = field(default_factory=list)
    under_way: Sequence[str] | None = None
    dead: set[str] = field(default_factory=set)

    def add(self, watch: MarkWatch, ids: Sequence[str]) -> None:
        new = Watched(watch, ids)
        if self.under_way is not None:
            # Whoever reads now may find what was before.
            new.must = bool({*ids} & {*self.under_way})
            new.may = new.met_by([*self.under_way, *self.dead])
        self.watches.append(new)

    def begin(self, ids: Sequence[str]) -> None:
        self.under_way = ids
        for one in self.watches:
            one.must |= bool({*one.ids} & {*ids})
            one.may |= one.met_by(ids)

    def end(self) -> None:
        self.dead -= {*(self.under_way or ())}
        self.under_way = None

    def kill(self) -> None:
        self.dead |= {*(self.under_way or ())}

    def check(self) -> None:
        for one in self.watches:
            moved = one.watch.moved()
            assert one.must <= moved <= one.may
            one.must |= moved


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["new", "killed", "torn"]),
    st.lists(
        st.one_of(
            st.tuples(st.just("watch"), some_ids),
            st.tuples(st.just("commit"), some_ids),
            st.tuples(st.sampled_from(["end", "kill"]), st.just([])),
        ),
        max_size=25,
    ),
)
def test_watches_move_with_the_commits_that_concern_them_and_no_others(
    left: str, actions: list[tuple[str, list[str]]]
) -> None:
    """A killed commit is one that another one follows before it has ended."""
    marks = Marks(bytearray(left_behind()[left]))
    model = Model(dead=set() if left == "new" else set(IDS))
    with marks.changing([]):
        pass
    changing: Any = None
    for action, ids in actions:
        if action == "watch":
            model.add(marks.watch(ids), ids)
        elif action == "commit" and changing is None:
            changing = marks.changing(ids)
            changing.__enter__()
            model.begin(ids)
        elif action == "end" and changing is not None:
            changing.__exit__()
            changing = None
            model.end()
        elif action == "kill" and changing is not None:
            changing = None
            model.kill()
        model.check()


class Memory:
    """Memory in which others do something before each access to it, as other processes would."""

    def __init__(self, words: Mapping[int, int], rest: int) -> None:
        self.words = dict(words)
        self.written: list[Step] = []
        self.before: Callable[[], object] = lambda: None
        self._rest = rest

    def __getitem__(self, at: int) -> int:
        self.before()
        return self.words.get(at, self._rest)

    def __setitem__(self, at: int, word: int) -> None:
        self.words[at] = word
        self.written.append((at, word))

    def marks(self) -> Marks:
        marks = Marks(bytearray(SIZE))
        marks._marks = self  # type: ignore[assignment]
        return marks


def steps_of(memory: Memory, ids: Sequence[str], last: int | None = None) -> list[Step]:
    """Return the steps of a commit that is killed behind the last of them, and do what it wrote."""
    words, memory.written = dict(memory.words), []
    changing = memory.marks().changing(ids)
    changing.__enter__()
    memory.written.append(ids)
    changing.__exit__()
    steps, memory.words = memory.written[:last], words
    memory.words.update(step for step in steps if isinstance(step, tuple))
    return steps


def read_between(memory: Memory, steps: Sequence[Step], at: Sequence[int], ids: list[str]) -> None:
    """See that what is read under a watch is there until the watch moves, and that it stays moved.

    `at` says for each step of the writers, in order, before which access of the reader it is done.
    """
    data = dict.fromkeys(IDS, 0)
    accesses, done = itertools.count(), 0

    def others() -> None:
        nonlocal done
        now = next(accesses)
        while done < len(steps) and at[done] <= now:
            step = steps[done]
            done += 1
            if isinstance(step, tuple):
                memory.words[step[0]] = step[1]
            else:
                data.update({one: data[one] + 1 for one in step})

    memory.before = others
    watch = memory.marks().watch(ids)
    others()
    found = [data[one] for one in ids]
    moved = False
    for _ in range(2):
        others()
        there = [data[one] for one in ids]
        was_moved, moved = moved, watch.moved()
        assert moved >= was_moved
        assert moved or found == there


def test_no_change_is_missed_whatever_a_commit_does_between_two_accesses() -> None:
    """All ways to do the steps of a commit between those of a reader."""
    steps = steps_of(Memory({}, 0), ["a"])
    assert 5 == len(steps), "more of them take far more ways"
    for at in itertools.combinations_with_replacement(range(17), len(steps)):
        read_between(Memory({}, 0), steps, at, ["a"])


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from([0, 1]),
    st.sampled_from([0, 1]),
    some_ids,
    st.lists(st.tuples(some_ids, st.none() | st.integers(0, 8)), min_size=1, max_size=3),
    st.lists(st.integers(0, 24), min_size=40, max_size=40),
)
def test_no_change_is_missed_when_writers_are_killed_at_any_step(
    first: int,
    rest: int,
    watched: list[str],
    commits: list[tuple[list[str], int | None]],
    at: list[int],
) -> None:
    """One commit follows the other; what is in the memory at first may be from another life."""
    memory = Memory({0: first}, rest)
    before = dict(memory.words)
    steps = [step for ids, last in commits for step in steps_of(memory, ids, last)]
    memory.words = before
    read_between(memory, steps, sorted(at), watched)
