"""Messages as a page: all that they say is on it, and none of it is markup."""

import base64
import hashlib
import logging
import re
from html.parser import HTMLParser

from hypothesis import HealthCheck, given, settings
from test_discord_message import EVENTS

from notify.backends.discord import text
from notify.backends.discord.identity import Mention
from notify.backends.discord.message import Appearance, compose, compose_plain
from notify.cli.test import chart
from notify.event import Attachment, Event
from notify.levels import TRADE
from notify.preview.page import page

NEW_YEAR = 1_767_225_600.25  # 2026-01-01 00:00:00.250 UTC
TAGS = (
    " html head meta title style body main article div p span section h2 dl dt dd footer time img "
    " pre code strong em a blockquote details summary "
)
ATTRIBUTES = " lang charset http-equiv content name class aria-hidden datetime alt src href title rel "
VOID = frozenset({"meta", "img"})


class Reader(HTMLParser):
    """Reads a page as strictly as people would write one, and collects its text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.classes: list[str] = []
        self.texts: list[str] = []
        self.images: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        assert f" {tag} " in TAGS
        given = dict(attrs)
        assert all(f" {name} " in ATTRIBUTES for name in given)
        if tag == "img":
            self.images.append(given["src"])
        if tag == "a":
            self.links.append(given["href"])
        self.classes += given.get("class", "").split()
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    def handle_comment(self, data):
        raise AssertionError("a comment")

    @property
    def text(self) -> str:
        return "".join(self.texts)


def read(*messages):
    reader = Reader()
    reader.feed(page(messages))
    reader.close()
    assert reader.open == []
    assert all(address.startswith("data:image/") for address in reader.images)
    assert all(address.startswith(("https://", "http://")) for address in reader.links)
    return reader


def event(message="Bought 1 ETH", *, level=TRADE, **parts):
    return Event(id="0199-01-ab", time=NEW_YEAR, message=message, level=level, **parts)


def shown(*events, appearance=None):
    return read(compose(events, appearance or Appearance("executor")))


# ---- what there is to see


def test_a_message_shows_who_says_it_when_and_who_is_called():
    appearance = Appearance("executor", mention=Mention("users", "42"), silent=lambda event: True)

    reader = shown(event("Crashed", level=logging.ERROR), appearance=appearance)

    for said in ("executor", "APP", "2026-01-01 00:00 UTC", "no sound", "@user 42", "❌ Crashed"):
        assert said in reader.text


def test_a_message_from_nobody_has_the_webhooks_name():
    assert "Webhook" in shown(event(), appearance=Appearance()).text


def test_an_embed_has_its_colour_its_parts_and_its_footer():
    reader = shown(event(body="A body.", topic="trade", fields={"pair": "ETH-USDC"}))

    assert "colour-1f2225" in reader.classes  # 2040357, a trade's
    for said in ("Bought 1 ETH", "A body.", "pair", "ETH-USDC", "trade · 0199-01-ab • 2026-01-01 00:00 UTC"):
        assert said in reader.text


def test_fields_stand_three_in_a_row_and_long_ones_alone():
    short = {f"short {number}": number for number in range(5)}

    reader = shown(event(fields={**short, "long": "x" * 50, "last": 1}))

    spans = [name for name in reader.classes if name.startswith("span")]
    assert spans == ["span4", "span4", "span4", "span6", "span6", "span12", "span12"]


def test_an_image_is_in_the_embed_and_other_files_are_listed():
    files = (Attachment("equity.png", chart()), Attachment("trades.csv", b"a,b"), Attachment("x.bin", b"\x00" * 3))

    reader = shown(event(body="x" * 5000, attachments=files))

    assert reader.images == ["data:image/png;base64," + base64.b64encode(chart()).decode()]
    for said in ("message.txt", "trades.csv", "a,b", "x.bin 3 bytes", "x" * 5000):
        assert said in reader.text


def test_a_picture_that_is_none_says_so():
    reader = shown(event(attachments=(Attachment("equity.png", b"<svg onload=x>"),)))

    assert reader.images == []
    assert "equity.png is no picture that can be shown" in reader.text


def test_a_text_file_is_on_the_page_up_to_a_limit():
    reader = shown(event(attachments=(Attachment("log.txt", b"a" * 50_001),)))  # characters; 50,000 are shown

    assert "a" * 50_000 + "\n… 1 more characters" in reader.text


def test_the_plain_form_is_shown_without_an_embed():
    reader = read(compose_plain(event("*Crashed*", level=logging.ERROR), Appearance()))

    assert "❌ *Crashed*" in reader.text
    assert "embed" not in reader.classes


def test_several_messages_are_one_below_another():
    one = compose([event("first")], Appearance())
    other = compose([event("second")], Appearance())

    assert re.search("first.*second", read(one, other).text, re.DOTALL)


# ---- what it may do


def test_the_policy_of_the_page_allows_its_own_style_and_pictures_inside_it_only():
    html = page([compose([event()], Appearance())])

    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


HOSTILE = "</style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'><!--"


def test_hostile_text_is_text_wherever_it_stands():
    hostile = event(
        HOSTILE[:70],
        body=f"{HOSTILE}\n…\na  {HOSTILE}\nb  c",
        fields={HOSTILE: HOSTILE, "table": [{HOSTILE: HOSTILE}]},
        topic=HOSTILE,
        logger=HOSTILE,
        attachments=(Attachment(f"{HOSTILE}.txt", HOSTILE.encode(), f"text/{HOSTILE}"), Attachment(HOSTILE, b"1")),
    )

    reader = shown(hostile, appearance=Appearance(HOSTILE))

    assert reader.text.count("<script>") >= 7  # title or description, body, both of a field, footer, user name, file


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(EVENTS)
def test_whatever_an_event_holds_every_text_of_its_payload_is_on_the_page_and_none_is_markup(hostile):
    message = compose([hostile], Appearance("executor", mention=Mention("roles", "1")))

    reader = read(message)

    (embed,) = message.payload["embeds"]
    marked = [embed.get("title", ""), embed.get("description", "")]
    marked += [part for field in embed.get("fields", ()) for part in (field["name"], field["value"])]
    on_page = _squeezed(reader.text)
    for words in marked:
        for part in _plain(words):
            assert _squeezed(part) in on_page
    assert embed["footer"]["text"] in reader.text
    assert all(file.name in reader.text or file.name in page([message]) for file in message.files)


def _plain(words):
    """Return what *words* say, block of code by block of code."""
    for number, part in enumerate(re.split(r"```\n(.*?)\n```", words, flags=re.DOTALL)):
        yield part if number % 2 else re.sub(r"\\([^0-9A-Za-z\s])", r"\1", part).replace("**", "")


def _squeezed(words: str) -> str:
    return "".join(words.replace("**", "").split())


def test_the_text_of_an_event_reads_as_it_was_said():
    said = "1*2*3 __init__ <@1> [a](https://b.example) `c` > d\\e ||f||"

    reader = shown(event(said, body=f"> {said}\n# {said}", fields={said: said}))

    assert reader.text.count(said) == 5
    assert text.visible(said) == said
