"""Who a message is from, and who is called by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.backends.discord.identity import acceptable_username, parse_mention

USERNAME_LIMIT = 80  # Discord's


@pytest.mark.parametrize(
    ("given_text", "called"),
    [
        ("42", "<@42>"),
        ("@42", "<@42>"),
        ("<@42>", "<@42>"),
        (" 42\n", "<@42>"),
        ("&42", "<@&42>"),
        ("@&42", "<@&42>"),
        ("<@&42>", "<@&42>"),
    ],
)
def test_a_mention_is_a_users_id_or_a_roles(given_text, called):
    mention = parse_mention(given_text)

    assert mention.text == called
    assert mention.kind == ("roles" if "&" in called else "users")
    assert mention.id == "42"


@pytest.mark.parametrize(
    "given_text", ["", "everyone", "@everyone", "@here", "<@42", "42>", "<42>", "#42", "<@!42>", "4 2", "007"]
)
def test_what_is_no_mention_is_refused_without_being_shown(given_text):
    with pytest.raises(ValueError, match=r"^not (a mention: use a user's id|an id of Discord's)") as raised:
        parse_mention(given_text)

    assert not given_text or given_text not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("ETH momentum", "ETH momentum"),
        ("Discord bot", "Dis-cord bot"),
        ("my-DISCORD-clyde", "my-DIS-CORD-cly-de"),
        ("disdiscordcord", "disdis-cordcord"),
        (" two\nlines ", "two lines"),
        ("everyone", None),
        ("HERE", None),
        ("here we go", "here we go"),
        ("", None),
        ("\u200b", None),
        ("x" * 81, "x" * 80),
    ],
)
def test_a_user_name_that_discord_refuses_is_altered_or_left_out(name, accepted):
    assert acceptable_username(name) == accepted


@given(st.text(max_size=100) | st.sampled_from(["discord", "clyde"]).map(lambda name: name * 20))
def test_no_name_is_longer_or_other_than_discord_takes(name):
    accepted = acceptable_username(name)

    if accepted is not None:
        assert 1 <= len(accepted.strip()) <= USERNAME_LIMIT
        assert "discord" not in accepted.lower()
        assert "clyde" not in accepted.lower()
        assert accepted.lower() not in ("everyone", "here")
