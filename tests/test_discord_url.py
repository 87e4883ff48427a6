"""Which webhook URLs are understood, and what becomes of them."""

import traceback

import pytest

from notify.backends.discord.url import parse_webhook_url
from notify.setting import parse_snowflake

TOKEN = "kZ_0-aB9canary"
V10 = f"/api/v10/webhooks/123456789012345678/{TOKEN}"
DISCORD = f"https://discord.com{V10}"

UNDERSTOOD = [
    (f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}", DISCORD),
    (f"https://discord.com/api/v10/webhooks/123456789012345678/{TOKEN}", DISCORD),
    (f"https://discord.com/api/v9/webhooks/123456789012345678/{TOKEN}", DISCORD),
    (f"https://discord.com/api/v6/webhooks/123456789012345678/{TOKEN}", DISCORD),
    (f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}/", DISCORD),
    (f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}/slack", DISCORD),
    (f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}/github", DISCORD),
    (f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}/github/", DISCORD),
    (f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}?wait=true", DISCORD),
    (f"  https://discord.com/api/webhooks/123456789012345678/{TOKEN}\n", DISCORD),
    (f"https://discord.com:443/api/webhooks/123456789012345678/{TOKEN}", DISCORD),
    (f"HTTPS://DISCORD.COM/api/webhooks/123456789012345678/{TOKEN}", DISCORD),
    (f"https://discordapp.com/api/webhooks/123456789012345678/{TOKEN}", DISCORD),
    (f"https://ptb.discord.com/api/webhooks/123456789012345678/{TOKEN}", f"https://ptb.discord.com{V10}"),
    (f"https://ptb.discordapp.com/api/webhooks/123456789012345678/{TOKEN}", f"https://ptb.discord.com{V10}"),
    (f"https://canary.discord.com/api/webhooks/123456789012345678/{TOKEN}", f"https://canary.discord.com{V10}"),
    (f"https://canary.discordapp.com/api/webhooks/123456789012345678/{TOKEN}", f"https://canary.discord.com{V10}"),
    (f"http://127.0.0.1:8080/api/webhooks/123456789012345678/{TOKEN}", f"http://127.0.0.1:8080{V10}"),
    (f"http://127.8.9.1/api/v9/webhooks/123456789012345678/{TOKEN}", f"http://127.8.9.1{V10}"),
    (f"https://localhost:8443/api/webhooks/123456789012345678/{TOKEN}/slack", f"https://localhost:8443{V10}"),
    (f"http://LOCALHOST/api/webhooks/123456789012345678/{TOKEN}", f"http://LOCALHOST{V10}"),
    (f"http://[::1]:8080/api/webhooks/123456789012345678/{TOKEN}", f"http://[::1]:8080{V10}"),
    ("http://127.0.0.1:8080/stand-in?a=b", "http://127.0.0.1:8080/stand-in?a=b"),
    ("http://localhost", "http://localhost"),
]

REFUSED = [
    "",
    "   ",
    TOKEN,
    f"discord.com/api/webhooks/1/{TOKEN}",
    f"//discord.com/api/webhooks/1/{TOKEN}",
    f"http://discord.com/api/webhooks/1/{TOKEN}",
    f"ftp://discord.com/api/webhooks/1/{TOKEN}",
    f"javascript://discord.com/api/webhooks/1/{TOKEN}",
    f"https://discord.com:8443/api/webhooks/1/{TOKEN}",
    f"https://discord.com:80/api/webhooks/1/{TOKEN}",
    f"https://discord.com:{TOKEN}/api/webhooks/1/x",
    f"https://discord.com:99999/api/webhooks/1/{TOKEN}",
    f"https://user@discord.com/api/webhooks/1/{TOKEN}",
    f"https://user:secret@discord.com/api/webhooks/1/{TOKEN}",
    f"https://discord.com@evil.example/api/webhooks/1/{TOKEN}",
    f"https://discord.com:443@evil.example/api/webhooks/1/{TOKEN}",
    f"https://evil.example\\@discord.com/api/webhooks/1/{TOKEN}",
    f"https://evil.example#@discord.com/api/webhooks/1/{TOKEN}",
    f"https://evil.example?@discord.com/api/webhooks/1/{TOKEN}",
    f"https://discord.com.evil.example/api/webhooks/1/{TOKEN}",
    f"https://evil-discord.com/api/webhooks/1/{TOKEN}",
    f"https://evil.discord.com/api/webhooks/1/{TOKEN}",
    f"https://discord.com./api/webhooks/1/{TOKEN}",
    f"https://discord.gg/api/webhooks/1/{TOKEN}",
    f"https://dіscord.com/api/webhooks/1/{TOKEN}",  # a Cyrillic і
    f"https://ｄiscord.com/api/webhooks/1/{TOKEN}",  # a fullwidth d, which NFKC makes an ordinary one
    f"https://xn--dscord-5ff.com/api/webhooks/1/{TOKEN}",
    f"https://discord.com/api/webhooks/1/{TOKEN}#fragment",
    f"https://discord.com/api/webhooks/1/{TOKEN} # prod",
    f"https://discord.com/api/web\thooks/1/{TOKEN}",
    f"https://discord.com/api/webhooks/1/{TOKEN}\x00",
    f"https://discord.com/api/webhooks/01/{TOKEN}",
    f"https://discord.com/api/webhooks/abc/{TOKEN}",
    f"https://discord.com/api/webhooks/1234567890123456789012/{TOKEN}",
    "https://discord.com/api/webhooks/1/",
    f"https://discord.com/api/webhooks/1/{TOKEN}/messages/2",
    f"https://discord.com/api/webhooks/1/../{TOKEN}",
    f"https://discord.com/webhooks/1/{TOKEN}",
    f"https://discord.com/api/vX/webhooks/1/{TOKEN}",
    f"https://discord.com/api/webhooks/1/{TOKEN}?thread_id={TOKEN}",
    f"https://discord.com/api/webhooks/1/{TOKEN}?thread_id=1&thread_id=2",
    f"https://[::1/api/webhooks/1/{TOKEN}",
    f"https://[2001:db8::1]/api/webhooks/1/{TOKEN}",
    f"http://[::ffff:127.0.0.1]/api/webhooks/1/{TOKEN}",
    f"http://[::1%25lo]/api/webhooks/1/{TOKEN}",
    f"http://user@127.0.0.1/api/webhooks/1/{TOKEN}",
    f"http://127.1/api/webhooks/1/{TOKEN}",
    f"http://2130706433/api/webhooks/1/{TOKEN}",  # 127.0.0.1 as one number
    f"http://128.0.0.1/api/webhooks/1/{TOKEN}",
    f"http://localhost.evil.example/api/webhooks/1/{TOKEN}",
    f"http://127.0.0.1/\\{TOKEN}",
    f"ftp://127.0.0.1/api/webhooks/1/{TOKEN}",
]


@pytest.mark.parametrize(("pasted", "url"), UNDERSTOOD)
def test_a_webhook_url_becomes_the_one_form_that_requests_go_to(pasted, url):
    assert parse_webhook_url(pasted).url == url


@pytest.mark.parametrize("pasted", REFUSED)
def test_any_other_url_is_refused_without_being_shown(pasted):
    with pytest.raises(ValueError, match=r"^not ") as raised:
        parse_webhook_url(pasted)

    printed = "".join(traceback.format_exception(raised.value))
    assert TOKEN not in printed
    assert not any(part in str(raised.value) for part in ("evil", "secret", "user:", "127."))


def test_the_url_of_an_example_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"^not a webhook URL: it has the … of an example in it; copy the whole URL "):
        parse_webhook_url("https://discord.com/api/webhooks/…")


def test_the_thread_of_a_url_is_kept():
    webhook = parse_webhook_url(f"https://discord.com/api/webhooks/1/{TOKEN}?wait=true&thread_id=42")

    assert (webhook.url, webhook.thread_id) == (f"https://discord.com/api/v10/webhooks/1/{TOKEN}", "42")


def test_a_webhook_does_not_show_its_url():
    assert TOKEN not in repr(parse_webhook_url(UNDERSTOOD[0][0]))


@pytest.mark.parametrize("text", ["", "-1", "1.0", "007", "١", "1" * 21, "1 2"])
def test_what_is_no_id_of_discords_is_refused_without_being_shown(text):
    with pytest.raises(ValueError, match=r"^not an id of Discord's: these are numbers of up to 20 digits$"):
        parse_snowflake(text)


def test_an_id_may_have_space_around_it():
    assert parse_snowflake(" 42\n") == "42"
