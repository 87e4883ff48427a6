"""Discord's Markdown as HTML."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notify.backends.discord import text
from notify.preview.markdown import block_html, inline_html


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain <b> & \"quoted\" 'text'", "plain &lt;b&gt; &amp; &quot;quoted&quot; &#x27;text&#x27;"),
        ("**bold** and *leaning*, _too_", "<strong>bold</strong> and <em>leaning</em>, <em>too</em>"),
        ("**all of *this* bold**", "<strong>all of <em>this</em> bold</strong>"),
        (r"\*not\* \_this\_ \`or\` that\\", "*not* _this_ `or` that\\"),
        (r"**a \*\* b**", "<strong>a ** b</strong>"),
        ("snake_case_name, 2 * 3 * 4, ** apart **", "snake_case_name, 2 * 3 * 4, ** apart **"),
        ("`a*b*` and ``c`d``", "<code>a*b*</code> and <code>c`d</code>"),
        ("`<i>`", "<code>&lt;i&gt;</code>"),
        ("<@12> <@&34>", '<span class="mention">@user 12</span> <span class="mention">@role 34</span>'),
        ("<t:1767225600:R>", '<time datetime="2026-01-01T00:00:00+00:00">2026-01-01 00:00 UTC</time>'),
        ("<t:999999999999>", "&lt;t:999999999999&gt;"),
        (r"\<@12>", "&lt;@12&gt;"),
    ],
)
def test_marks_become_what_they_mean_and_everything_else_stays(written, shown):
    assert inline_html(written) == shown


def test_links_are_links_and_say_where_they_lead():
    link = '<a href="https://a.example/?x=1&amp;y=2" title="https://a.example/?x=1&amp;y=2" rel="noreferrer noopener">'

    assert inline_html("https://a.example/?x=1&y=2") == f"{link}https://a.example/?x=1&amp;y=2</a>"
    assert inline_html("[the *chart*](https://a.example/?x=1&y=2)") == f"{link}the <em>chart</em></a>"


@pytest.mark.parametrize(
    "written",
    ["[x](javascript:alert(1))", "[x](data:text/html,y)", "javascript:alert(1)", "[x](file:///etc/passwd)", r"[x]\(y)"],
)
def test_only_addresses_of_the_web_are_links(written):
    assert "<a" not in block_html(written)


def test_an_address_cannot_leave_its_attribute():
    shown = inline_html("https://a.example/\"onmouseover='x'")

    assert re.findall(r'href="([^"]*)"', shown) == ["https://a.example/&quot;onmouseover=&#x27;x&#x27;"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a\n```\nx  *y*\n```\nb", "a\n<pre><code>x  *y*</code></pre>b"),
        ("```py\nx = 1\n```", "<pre><code>x = 1</code></pre>"),
        ("```pair\n```", "<pre><code>pair</code></pre>"),
        ("```\n<script>\n```", "<pre><code>&lt;script&gt;</code></pre>"),
        (r"\`\`\`" + "\nno code", "```\nno code"),
        ("``` never ends", "``` never ends"),
        ("> one\n> *two*\nthree", "<blockquote>one\n<em>two</em></blockquote>three"),
        (r"\> no quote", "&gt; no quote"),
    ],
)
def test_blocks_of_code_and_quotes(written, shown):
    assert block_html(written) == shown


def read(html: str) -> str:
    """Return what a person reads of *html*."""
    return unescape(re.sub(r"<[^>]*>", "", html))


@given(st.text(alphabet="ab1 *_~|`\\<>@#[]()-\n:t/&\"'🌲", max_size=60) | st.text(max_size=60))
def test_what_was_escaped_for_discord_reads_as_it_was_said(said):
    visible = text.visible(said)

    assert read(block_html(text.escape(visible))) == visible


@given(st.text(alphabet="ab1 *_`\\<>[]()\n:t/https", max_size=80))
def test_whatever_the_marks_the_tags_are_closed_in_their_order(written):
    opened: list[str] = []
    for closing, name in re.findall(r"<(/?)([a-z]+)", block_html(written)):
        if closing:
            assert opened.pop() == name
        else:
            opened.append(name)
    assert opened == []


@pytest.mark.parametrize("mark", ["*", "**a ", "_a ", "`", "[", "[a](", "\\", "```", "> ", "<t:1", "*a _b "])
def test_many_marks_that_never_end_take_no_time(mark):
    assert read(block_html(mark * (4096 // len(mark))))  # the longest description; the test has a time limit
