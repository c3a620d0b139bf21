# SPDX-License-Identifier: Apache-2.0
"""Which release file holds for a user: the newest wins, is kept, and nothing goes back behind it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.protocol.attestation.policy.test_entries import RELEASED
from tests.protocol.attestation.policy.test_file import WHOLE
from tests.protocol.attestation.releases.signed import (
    PAIR,
    SECOND,
    STRANGER,
    THIRD,
    after,
    image,
    public,
    release,
    signed,
    withdrawn,
)
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.publisher.attestation.evidence import read_policy
from trustedpods.publisher.attestation.releases import UserReleases
from trustedpods.publisher.state.releases import FILE, set_aside

NOW = datetime(2026, 12, 2, tzinfo=UTC)
ONE = release()
TWO = after(ONE)
THREE = after(ONE, TWO, images=[])
OTHER_TWO = after(ONE, images=[])


class User:
    """One user's folders and client."""

    def __init__(self, folder: Path) -> None:
        self.environment = {"HOME": str(folder)}
        self.shipped = folder / "shipped.json"
        self.state = folder / ".local/state/trustedpods" / FILE
        self.settings = folder / ".config/trustedpods" / FILE
        self.settings.parent.mkdir(parents=True)

    def releases(self, pair=PAIR, now: datetime = NOW, retired=()) -> UserReleases:
        return UserReleases(self.environment, pair, self.shipped, now, retired)

    @property
    def aside(self) -> Path:
        return self.state.with_name(FILE + ".set-aside")

    def ships(self, what) -> None:
        self.shipped.write_bytes(signed(what))

    def has(self, what) -> None:
        self.settings.write_bytes(signed(what))

    def number(self, least: int = 1) -> int:
        return self.releases().demanded(least).number

    def rule(self, least: int = 1, **how) -> str | None:
        with pytest.raises(Refused) as error:
            self.releases(**how).demanded(least)
        return error.value.rule


@pytest.fixture
def user(tmp_path):
    return User(tmp_path)


def test_the_newest_wins_and_is_kept(user):
    assert user.rule() == "release-missing"
    user.ships(ONE)
    assert user.number() == 1
    user.has(TWO)
    assert user.number() == 2
    assert user.state.read_bytes() == signed(TWO)
    user.ships(THREE)
    user.settings.unlink()
    assert user.number() == 3
    user.shipped.unlink()
    assert user.number() == 3


def test_an_older_client_is_no_step_back(user):
    user.ships(TWO)
    assert user.number() == 2
    user.ships(ONE)
    assert user.number() == 2


def test_an_older_file_that_is_put_in_place_is_refused(user):
    user.has(TWO)
    assert user.number() == 2
    user.has(ONE)
    with pytest.raises(Refused) as error:
        user.number()
    assert error.value.rule == "release-older"
    assert error.value.where == str(user.settings)
    assert "take that file away" in error.value.hint
    assert user.state.read_bytes() == signed(TWO)


def test_two_histories_are_refused(user):
    user.has(TWO)
    assert user.number() == 2
    user.has(OTHER_TWO)
    assert user.rule() == "release-fork"
    user.settings.unlink()
    user.ships(release(images=[]))
    assert user.rule() == "release-fork"


def test_forged_expired_and_too_old(user):
    user.has(ONE)
    assert user.rule(least=2) == "release-minimum"
    assert user.rule(now=datetime(2027, 3, 1, tzinfo=UTC)) == "release-expired"
    assert user.rule(now=datetime(2026, 11, 1, tzinfo=UTC)) == "release-clock"
    assert user.rule(pair=()) == "release-keys"
    user.settings.write_bytes(signed(TWO, STRANGER))
    assert user.rule() == "release-forged"


def test_a_kept_file_that_cannot_be_read_is_not_the_same_as_none(user):
    user.has(TWO)
    assert user.number() == 2
    user.has(ONE)
    user.state.write_bytes(b"damaged")
    with pytest.raises(BadInput, match="not a release file"):
        user.number()
    user.state.unlink()
    user.state.mkdir()
    with pytest.raises(BadInput, match="cannot read the release file"):
        user.number()


NEW_PAIR = (public(THIRD), public(STRANGER))


def kept_of_the_old_pair(user):
    user.has(TWO)
    assert user.number() == 2
    user.settings.unlink()
    user.shipped.write_bytes(signed(ONE, THIRD))


def test_a_client_with_a_new_pair_of_keys_sets_the_kept_file_aside_and_says_so(user, caplog):
    kept_of_the_old_pair(user)
    newer = user.releases(NEW_PAIR, retired=(PAIR,))
    assert newer.demanded(1) == ONE
    assert user.aside.read_bytes() == signed(TWO)
    assert user.state.read_bytes() == signed(ONE, THIRD)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"set aside as {user.aside}" in caplog.text
    caplog.clear()
    assert newer.demanded(1) == ONE
    assert not caplog.records


def test_an_older_client_does_not_set_aside_what_a_newer_one_has_kept(user):
    """The new pair's file withdraws the image that the older client's own file trusts."""
    user.shipped.write_bytes(signed(release(images=[image(withdrawn=withdrawn())]), THIRD))
    assert user.releases(NEW_PAIR, retired=(PAIR,)).demanded(1).images[0].withdrawn
    kept = user.state.read_bytes()
    user.ships(TWO)
    for older in (user.releases(), user.releases(retired=((public(SECOND), public(STRANGER)),))):
        with pytest.raises(Refused) as error:
            older.demanded(1)
        assert (error.value.rule, error.value.where) == ("release-forged", str(user.state))
        assert f"move {user.state} away" in error.value.hint
        assert older.for_names() is None
    assert user.state.read_bytes() == kept
    assert not user.aside.exists()


def test_a_kept_file_that_was_changed_is_refused_whatever_key_it_names(user):
    kept_of_the_old_pair(user)
    changed = signed(TWO).replace(b'"2026-12-01', b'"2026-12-02')
    for raw in (changed, signed(TWO, STRANGER)):
        user.state.write_bytes(raw)
        assert user.rule(pair=(public(THIRD), "ab" * 32), retired=(PAIR,)) == "release-forged"
        assert user.state.read_bytes() == raw
    assert not user.aside.exists()


def test_a_look_for_names_moves_nothing(user, caplog):
    kept_of_the_old_pair(user)
    assert user.releases(NEW_PAIR, retired=(PAIR,)).for_names() == ONE
    assert user.state.read_bytes() == signed(TWO)
    assert not user.aside.exists()
    assert not caplog.records


def test_a_client_that_is_second_takes_nothing_away_that_the_first_has_kept(user):
    kept_of_the_old_pair(user)
    user.releases(NEW_PAIR, retired=(PAIR,)).demanded(1)
    assert set_aside(user.state, signed(TWO)) == user.aside
    assert user.state.read_bytes() == signed(ONE, THIRD)
    user.state.unlink()
    set_aside(user.state, signed(TWO))
    assert user.aside.read_bytes() == signed(TWO)


def test_a_kill_before_it_is_kept_changes_nothing(user):
    user.has(TWO)
    user.state.parent.mkdir(parents=True)
    user.state.parent.chmod(0o700)
    (user.state.parent / ".measurements.json.draft").write_bytes(b"half")
    assert user.number() == 2
    assert user.number() == 2


def test_names_are_had_without_a_good_file_or_with_an_old_one(user):
    assert user.releases().for_names() is None
    user.has(ONE)
    assert user.releases(now=datetime(2030, 1, 1, tzinfo=UTC)).for_names() == ONE
    assert user.releases(pair=()).for_names() is None
    user.settings.write_bytes(b"{}")
    assert user.releases().for_names() is None


def test_this_version_of_the_client_has_no_keys_and_says_so(user):
    user.has(ONE)
    with pytest.raises(Refused, match="knows no release keys"):
        UserReleases(user.environment).demanded(1)


def test_a_policy_by_its_name_asks_for_the_users_file(user):
    policies = user.settings.parent / "policies"
    policies.mkdir()
    (policies / "ours.toml").write_text(RELEASED)
    with pytest.raises(Refused) as error:
        read_policy("ours", user.environment)
    assert error.value.rule == "release-missing"
    (policies / "own.toml").write_text(WHOLE)
    assert read_policy("own", user.environment).release is None
